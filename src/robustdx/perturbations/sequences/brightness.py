"""Light that grows or fades."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.perturbations.sequences.frames import along, places, require
from robustdx.perturbations.sequences.refusals import require_finite
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Brightness:
    """Light that grows from frame to frame, hue and saturation as they are (Hendrycks and Dietterich 2019, ImageNet-P).

    A constant is added to the value V = max(R, G, B) of the HSV colour, within [0, 1]. At fixed hue and saturation the
    colour is in proportion to V: x (V + shift) / V, and grey where a pixel was black. No conversion to HSV is needed.
    """

    compared: ClassVar[Literal["previous", "first"]] = "previous"
    random: ClassVar[bool] = False

    first: float | None = None
    """What is added in the first frame, in pixel units of [0, 1]; left out, the clean image is in the middle."""
    step: float = 0.02
    """How much more is added from frame to frame."""

    def __post_init__(self) -> None:
        require_finite(first=self.first, step=self.step)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        value = x.amax(1, keepdim=True)
        black = value == 0
        dark = bool(black.any())
        return along(x, places(self.first, self.step, count), lambda shift: _lit(x, value, black if dark else None, shift))


def _lit(x: Images, value: Tensor, black: Tensor | None, shift: float) -> Images:
    wanted = (value + shift).clamp_(0, 1)
    if black is None:
        return x * (wanted / value)
    return torch.where(black, wanted, x * (wanted / value.masked_fill(black, 1)))
