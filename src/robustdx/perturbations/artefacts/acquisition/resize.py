"""An image made smaller and larger again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch.nn.functional as F

from robustdx.draws import Draws
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Resize:
    """Made smaller and enlarged again, as a thumbnail that went into a report (own): antialiased bilinear down, bicubic up."""

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = False

    kept: Table = (0.7, 0.5, 0.35, 0.25, 0.16)
    """How long the sides of the smaller image are at each severity, as a fraction; at least two pixels."""

    def __post_init__(self) -> None:
        require_tables(least=0.001, most=1, kept=self.kept)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        kept = at(severity, self.kept)
        small = [min(side, max(2, round(side * kept))) for side in x.shape[2:]]
        less = F.interpolate(x, size=small, mode="bilinear", align_corners=False, antialias=True)
        return F.interpolate(less, size=tuple(x.shape[2:]), mode="bicubic", align_corners=False).clamp_(0, 1)
