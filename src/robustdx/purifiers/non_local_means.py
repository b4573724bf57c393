"""Non-local means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from skimage.restoration import denoise_nl_means

from robustdx.draws import Draws
from robustdx.purifiers.noise import STILL, noise_of
from robustdx.purifiers.one_by_one import one_by_one
from robustdx.purifiers.refusals import require_above_zero, require_sides, require_window
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class NonLocalMeans:
    """Each pixel the mean of those around it whose surroundings look alike (Buades et al. 2005; scikit-image).

    Image by image on the CPU, in the fast form with weights by whole patches. It passes no gradient back: attack it through
    `StraightThrough`. Cost per image at 224 px: about distance^2 passes over it.
    """

    differentiable: ClassVar[bool] = False
    random: ClassVar[bool] = False

    patch: int = 3
    """Side of the surroundings that are compared, an odd number of pixels."""
    window: int = 11
    """Side of the region that is searched, an odd number of pixels; Xu et al. 2018 take 11 with patches of 3."""
    strength: float = 0.8
    """How unlike patches may be, as a multiple of the noise: more smooths more."""
    sigma: float | None = None
    """Standard deviation of the noise in pixel units of [0, 1]; left out, estimated for each image from its finest wavelets."""

    def __post_init__(self) -> None:
        require_window(patch=self.patch, window=self.window)
        require_above_zero(strength=self.strength, sigma=self.sigma)

    @torch.no_grad()
    def __call__(self, x: Images, draws: Draws) -> Images:
        require_sides(x, 4, "non-local-means")
        return one_by_one(self._one, x)

    def _one(self, picture: np.ndarray) -> np.ndarray:
        sigma = noise_of(picture) if self.sigma is None else self.sigma
        if sigma < STILL:
            return picture
        return denoise_nl_means(
            picture,
            patch_size=self.patch,
            patch_distance=self.window // 2,
            h=self.strength * sigma,
            sigma=sigma,
            fast_mode=True,
            channel_axis=-1,
        )
