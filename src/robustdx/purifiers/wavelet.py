"""Wavelet shrinkage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
import pywt
import torch
from skimage.restoration import denoise_wavelet

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.purifiers.noise import STILL, noise_of
from robustdx.purifiers.one_by_one import one_by_one
from robustdx.purifiers.refusals import require_above_zero, require_sides
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Wavelet:
    """Small wavelet coefficients pulled to 0, by a threshold of each band (Chang et al. 2000, BayesShrink; scikit-image).

    Image by image on the CPU; colour images as brightness and two colours. It passes no gradient back: attack it through
    `StraightThrough`.
    """

    differentiable: ClassVar[bool] = False
    random: ClassVar[bool] = False

    sigma: float | None = None
    """Standard deviation of the noise in pixel units of [0, 1]; left out, estimated for each image from its finest wavelets."""
    wavelet: str = "db1"
    """A discrete wavelet, as PyWavelets calls it."""
    method: Literal["BayesShrink", "VisuShrink"] = "BayesShrink"
    """The threshold: "BayesShrink", one for each band; "VisuShrink", one for all, which smooths more."""
    mode: Literal["soft", "hard"] = "soft"
    """"soft" pulls every coefficient towards 0 by the threshold; "hard" leaves the large ones as they are."""

    def __post_init__(self) -> None:
        require_above_zero(sigma=self.sigma)
        if self.wavelet not in pywt.wavelist(kind="discrete"):
            raise PlanError(f"expected a discrete wavelet as PyWavelets calls it, like db1 or sym4, got {self.wavelet!r}")

    @torch.no_grad()
    def __call__(self, x: Images, draws: Draws) -> Images:
        require_sides(x, 4, "wavelet")
        return one_by_one(self._one, x)

    def _one(self, picture: np.ndarray) -> np.ndarray:
        sigma = noise_of(picture) if self.sigma is None else self.sigma
        if sigma < STILL:
            return picture
        return denoise_wavelet(
            picture,
            sigma=sigma,
            wavelet=self.wavelet,
            method=self.method,
            mode=self.mode,
            convert2ycbcr=picture.shape[2] == 3,
            channel_axis=-1,
            rescale_sigma=True,
        )
