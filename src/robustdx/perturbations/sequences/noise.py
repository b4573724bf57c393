"""Noise of the sensor that is drawn anew in every frame: the same at every pixel, or in proportion to the light."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from robustdx.draws import Draws
from robustdx.perturbations.normal import normal
from robustdx.perturbations.sequences.frames import after_clean, require
from robustdx.perturbations.sequences.refusals import require_above_zero
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class GaussianNoise:
    """Normal noise, the same at every pixel; the first frame is clean (Hendrycks and Dietterich 2019, ImageNet-P).

    x + std N(0, 1), drawn anew in every frame and clipped.
    """

    compared: ClassVar[Literal["previous", "first"]] = "first"
    random: ClassVar[bool] = True

    std: float = 0.03
    """Standard deviation of the noise, in pixel units of [0, 1]."""

    def __post_init__(self) -> None:
        require_above_zero(std=self.std)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        return after_clean(x, count, lambda i: normal(x, draws.fork("frame", i)).mul_(self.std).add_(x))


@final
@dataclass(frozen=True, kw_only=True)
class SpeckleNoise:
    """Noise in proportion to the light, as of ultrasound; the first frame is clean (Hendrycks and Dietterich 2019, ImageNet-P).

    x + x N(0, std^2), drawn anew in every frame and clipped.
    """

    compared: ClassVar[Literal["previous", "first"]] = "first"
    random: ClassVar[bool] = True

    std: float = 0.05
    """Standard deviation of the noise, as a share of the pixel."""

    def __post_init__(self) -> None:
        require_above_zero(std=self.std)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        return after_clean(x, count, lambda i: normal(x, draws.fork("frame", i)).mul_(self.std).add_(1).mul_(x))
