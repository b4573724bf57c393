"""Fewer shades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch

from robustdx.draws import Draws
from robustdx.purifiers.refusals import require_at_least
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class BitDepth:
    """Each pixel rounded to the nearest of a few shades (Xu et al. 2018, section III; Guo et al. 2018).

        xu:   round(x * (levels - 1)) / (levels - 1)
        guo:  round(x * levels) / levels

    The second is how copies of the code of Guo et al. round; the original was not at hand. Rounding has no gradient: attack it
    through `StraightThrough`. Cost: none to speak of.
    """

    differentiable: ClassVar[bool] = False
    random: ClassVar[bool] = False

    levels: int = 8
    """Shades of each channel: 8 are 3 bits."""
    grid: Literal["xu", "guo"] = "xu"
    """"xu": exactly so many shades, black and white among them; "guo": steps of 1 / levels, one shade more."""

    def __post_init__(self) -> None:
        require_at_least(2, levels=self.levels)

    @torch.no_grad()
    def __call__(self, x: Images, draws: Draws) -> Images:
        steps = self.levels - 1 if self.grid == "xu" else self.levels
        return (x * steps).round() / steps
