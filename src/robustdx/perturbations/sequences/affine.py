"""A camera that turns, comes nearer, or skews: rotate, scale and shear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, radians, sin, tan
from typing import ClassVar, Literal, final

import torch

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.perturbations.sequences.frames import along, places, require
from robustdx.perturbations.sequences.refusals import require_finite
from robustdx.perturbations.sequences.warp import Fill, about, middle, warped
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Rotate:
    """The camera turns about its axis (Hendrycks and Dietterich 2019, ImageNet-P). Bilinear, about the middle of the image."""

    compared: ClassVar[Literal["previous", "first"]] = "previous"
    random: ClassVar[bool] = False

    first: float | None = None
    """Angle of the first frame in degrees, clockwise; left out, the clean image is in the middle."""
    step: float = 1.0
    """Degrees from frame to frame."""
    fill: Fill = "mirror"
    """What is seen beyond the image: "black" as in the released code, its last pixel ("edge"), or "mirror"."""

    def __post_init__(self) -> None:
        require_finite(first=self.first, step=self.step)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        return along(x, places(self.first, self.step, count), lambda angle: _mapped(x, _turned(angle), self.fill))


@final
@dataclass(frozen=True, kw_only=True)
class Scale:
    """The camera comes nearer (Hendrycks and Dietterich 2019, ImageNet-P). Bilinear, about the middle of the image."""

    compared: ClassVar[Literal["previous", "first"]] = "previous"
    random: ClassVar[bool] = False

    first: float | None = None
    """Size of the first frame, 1 as it is; left out, the clean image is in the middle."""
    step: float = 0.025
    """How much larger from frame to frame."""
    fill: Fill = "mirror"
    """What is seen beyond the image: "black" as in the released code, its last pixel ("edge"), or "mirror"."""

    def __post_init__(self) -> None:
        require_finite(first=self.first, step=self.step)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        sizes = places(self.first, self.step, count, clean=1)
        if min(sizes) <= 0:
            raise PlanError(f"scale must stay above 0, got {min(sizes):g} in one of {count} frames: take a smaller step or fewer frames")
        return along(x, sizes, lambda size: _mapped(x, [[1 / size, 0], [0, 1 / size]], self.fill), clean=1)


@final
@dataclass(frozen=True, kw_only=True)
class Shear:
    """Rows slide over one another (Hendrycks and Dietterich 2019, ImageNet-P). Bilinear, about the middle of the image."""

    compared: ClassVar[Literal["previous", "first"]] = "previous"
    random: ClassVar[bool] = False

    first: float | None = None
    """Angle of the first frame in degrees, by which upright lines lean; left out, the clean image is in the middle."""
    step: float = 1.0
    """Degrees from frame to frame."""
    fill: Fill = "mirror"
    """What is seen beyond the image: "black" as in the released code, its last pixel ("edge"), or "mirror"."""

    def __post_init__(self) -> None:
        require_finite(first=self.first, step=self.step)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        angles = places(self.first, self.step, count)
        if max(map(abs, angles)) >= 90:
            raise PlanError(f"shear must stay below 90 degrees, got {max(angles, key=abs):g}: take a smaller step or fewer frames")
        return along(x, angles, lambda angle: _mapped(x, [[1, tan(radians(angle))], [0, 1]], self.fill))


def _turned(angle: float) -> list[list[float]]:
    """From where a picture that is turned clockwise by so many degrees takes its pixels; rows count downwards."""
    c, s = cos(radians(angle)), sin(radians(angle))
    return [[c, s], [-s, c]]


def _mapped(x: Images, source: list[list[float]], fill: Fill) -> Images:
    return warped(x, about(middle(x), torch.tensor(source, dtype=torch.float64)), fill)
