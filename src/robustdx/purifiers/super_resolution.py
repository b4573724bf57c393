"""Down and up again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.purifiers.refusals import require_sides
from robustdx.purifiers.wavelet import Wavelet
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class SuperResolution:
    """Wavelets shrunk, then scaled down and up again, without a learned network (the steps of Mustafa et al. 2020).

    Mustafa et al. double the image with a network learned on photographs (EDSR) and let the classifier scale it down. No such network comes
    with robustdx: bicubic scaling stands in its place, first down by `factor` and then back to the size that came. What
    they measured says nothing about this one. It passes no gradient back, because of the wavelets: attack it through `StraightThrough`.
    """

    differentiable: ClassVar[bool] = False
    random: ClassVar[bool] = False

    sigma: float = 0.04
    """Standard deviation of the noise that the wavelets take away, in pixel units of [0, 1]; 0.04 as released."""
    factor: float = 2.0
    """How much smaller the image becomes in between."""

    def __post_init__(self) -> None:
        if not 1 < self.factor < float("inf"):
            raise PlanError(f"factor must be above 1, got {self.factor:g}")
        self._wavelet()

    @torch.no_grad()
    def __call__(self, x: Images, draws: Draws) -> Images:
        require_sides(x, 4, "super-resolution")
        small = [max(1, round(side / self.factor)) for side in x.shape[2:]]
        pure = F.interpolate(self._wavelet()(x, draws), size=small, mode="bicubic", antialias=True)
        return F.interpolate(pure, size=x.shape[2:], mode="bicubic", antialias=True).clamp(0, 1)

    def _wavelet(self) -> Wavelet:
        return Wavelet(sigma=self.sigma)
