"""Noise of counting photons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from robustdx.draws import Draws
from robustdx.perturbations.photons import photons
from robustdx.perturbations.sequences.frames import after_clean, require
from robustdx.perturbations.sequences.refusals import require_above_zero
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class ShotNoise:
    """Too few photons, as of a low dose; the first frame is clean (Hendrycks and Dietterich 2019, ImageNet-P).

    Poisson(photons x) / photons, drawn anew in every frame and clipped.
    """

    compared: ClassVar[Literal["previous", "first"]] = "first"
    random: ClassVar[bool] = True

    photons: float = 300.0
    """How many photons a white pixel gets in the mean; fewer are noisier."""

    def __post_init__(self) -> None:
        require_above_zero(photons=self.photons)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        mean = self.photons * x
        return after_clean(x, count, lambda i: photons(mean, draws.fork("frame", i)) / self.photons)
