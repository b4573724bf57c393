"""A camera that moves sideways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor
from typing import ClassVar, Literal, final

import torch
from torch.nn.functional import pad

from robustdx.draws import Draws
from robustdx.perturbations.scale import REFERENCE
from robustdx.perturbations.sequences.frames import along, places, relative, require
from robustdx.perturbations.sequences.refusals import require_above_zero, require_finite
from robustdx.perturbations.sequences.warp import Fill
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Translate:
    """The picture moves to the right, pixel by pixel (Hendrycks and Dietterich 2019, ImageNet-P).

    Whole pixels at the size the settings belong to; at others the same share of the image, between pixels linearly.
    """

    compared: ClassVar[Literal["previous", "first"]] = "previous"
    random: ClassVar[bool] = False

    first: float | None = None
    """Shift of the first frame to the right, in pixels of an image of `side`; left out, the clean image is in the middle."""
    step: float = 1.0
    """Pixels from frame to frame."""
    fill: Fill = "mirror"
    """What is seen beyond the image: "black" as in the released code, its last pixel ("edge"), or "mirror"."""
    side: int = REFERENCE
    """Shorter side of the images that pixels belong to; images of another size move by the same share of theirs."""

    def __post_init__(self) -> None:
        require_finite(first=self.first, step=self.step)
        require_above_zero(side=self.side)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        unit, shifts = relative(x, self.side), places(self.first, self.step, count)
        reach = ceil(max(map(abs, shifts)) * unit) + 1
        wide = widened(x, reach, self.fill)
        return along(x, shifts, lambda shift: _seen(wide, reach - shift * unit, x.shape[-1]))


def widened(x: Images, by: int, fill: Fill) -> Images:
    """The images with so many columns more on both sides."""
    if fill == "black":
        return pad(x, (by, by))
    width = x.shape[-1]
    columns = torch.arange(-by, width + by, device=x.device)
    if fill == "edge":
        return x[..., columns.clamp(0, width - 1)]
    columns = columns % (2 * width)  # there and back again
    return x[..., torch.minimum(columns, 2 * width - 1 - columns)]


def _seen(wide: Images, start: float, width: int) -> Images:
    """The columns from `start` on, between two of them where it is not whole."""
    at = floor(start + 1e-6)
    part, own = start - at, wide[..., at : at + width]
    return own.clone() if abs(part) < 1e-5 else torch.lerp(own, wide[..., at + 1 : at + 1 + width], part)
