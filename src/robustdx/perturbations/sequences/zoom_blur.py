"""A camera that comes nearer while the shutter is open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.sequences.frames import require
from robustdx.perturbations.sequences.refusals import require_above_zero
from robustdx.perturbations.sequences.warp import about, middle, warped
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class ZoomBlur:
    """The camera comes nearer while the shutter is open; the first frame is clean (Hendrycks and Dietterich 2019, ImageNet-P).

    Frame i is the mean of the image at sizes 1, 1 + step, ..., 1 + i step; the next one adds to the sum of the one before.
    """

    compared: ClassVar[Literal["previous", "first"]] = "previous"
    random: ClassVar[bool] = False

    step: float = 0.004
    """How much larger the last image of the mean is from frame to frame."""

    def __post_init__(self) -> None:
        require_above_zero(step=self.step)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        return self._summed(x, count)

    def _summed(self, x: Images, count: int) -> Iterator[Images]:
        total, centre = x.clone(), middle(x)
        yield x.clone()
        for i in range(1, count):
            nearer = torch.eye(2, dtype=torch.float64) / (1 + self.step * i)
            total += warped(x, about(centre, nearer), "edge")
            yield (total / (i + 1)).clamp_(0, 1)
