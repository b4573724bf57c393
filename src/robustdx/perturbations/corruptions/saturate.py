"""An image whose colours are too strong or too weak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_colour, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Saturate:
    """Colours too weak, or too strong (Hendrycks and Dietterich 2019): S factor + offset in HSV; hue and value stay.

    Ours fade, severity by severity. Theirs fade at 1 and 2 and glow at 3 to 5, which has no order on a fundus (`saturate_standard`). Where
    the offset is above 0, a pixel without any colour turns red, hue 0, as in the released code.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("dermoscopy", "fundus")
    random: ClassVar[bool] = False

    factor: Table = (0.7, 0.5, 0.3, 0.15, 0)
    """What saturation is multiplied with at each severity."""
    offset: Table = (0, 0, 0, 0, 0)
    """What is then added."""

    def __post_init__(self) -> None:
        require_tables(least=0, factor=self.factor)
        require_tables(least=-1, most=1, offset=self.offset)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        factor, offset = at(severity, self.factor), at(severity, self.offset)
        require_colour(x, "saturate")
        value, below = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
        spread = value - below
        wanted = (spread / value.clamp_min(1e-12) * factor + offset).clamp(0, 1) * value
        red = torch.cat((value, value - wanted, value - wanted), 1)
        return torch.where(spread > 0, value - (value - x) * (wanted / spread.clamp_min(1e-12)), red).clamp_(0, 1)
