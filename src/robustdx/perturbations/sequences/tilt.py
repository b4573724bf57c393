"""A camera that is not held straight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, hypot, radians, sin
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.perturbations.sequences.frames import along, places, require
from robustdx.perturbations.sequences.refusals import require_finite
from robustdx.perturbations.sequences.warp import Fill, warped
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Tilt:
    """The picture leans back and aside by the same angle, in perspective (Hendrycks and Dietterich 2019, ImageNet-P).

    A plane at the distance f = the diagonal is turned about both of its axes through (W/2, H/2) and seen by a pinhole camera of
    focal length f. Bilinear.
    """

    compared: ClassVar[Literal["previous", "first"]] = "previous"
    random: ClassVar[bool] = False

    first: float | None = None
    """Angle of the first frame in degrees; left out, the clean image is in the middle."""
    step: float = 1.0
    """Degrees from frame to frame."""
    fill: Fill = "mirror"
    """What is seen beyond the image: "black" as in the released code, its last pixel ("edge"), or "mirror"."""

    def __post_init__(self) -> None:
        require_finite(first=self.first, step=self.step)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        angles, (h, w) = places(self.first, self.step, count), x.shape[2:]
        if max(map(abs, angles)) > 45:
            raise PlanError(f"tilt must stay within 45 degrees, got {max(angles, key=abs):g}: take a smaller step or fewer frames")
        return along(x, angles, lambda angle: warped(x, torch.linalg.inv(projection(angle, h, w)), self.fill))


def projection(angle: float, h: int, w: int) -> Tensor:
    """(3, 3): where a pixel (column, row, 1) of the image is seen when the plane is turned by so many degrees."""
    c, s, f = cos(radians(angle)), sin(radians(angle)), hypot(h, w)
    about_rows = torch.tensor([[c, 0, -s], [0, 1, 0], [s, 0, c]], dtype=torch.float64)
    about_columns = torch.tensor([[1, 0, 0], [0, c, -s], [0, s, c]], dtype=torch.float64)
    turned = about_columns @ about_rows
    # A pixel (u, v) lies at (u - w/2, v - h/2, 0): of the turned axes only the first two count, and the third place holds 1.
    plane = torch.tensor([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 0]], dtype=torch.float64)
    camera = torch.tensor([[f, 0, w / 2], [0, f, h / 2], [0, 0, 1]], dtype=torch.float64)
    away = torch.tensor([[0, 0, 0], [0, 0, 0], [0, 0, f]], dtype=torch.float64)
    return camera @ (turned @ plane + away)
