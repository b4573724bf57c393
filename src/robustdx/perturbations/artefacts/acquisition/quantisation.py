"""An image with too few shades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.draws import Draws
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Counts, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Quantisation:
    """Too few shades, as on a poor display or after a narrow conversion (own): every channel rounded to `levels` values."""

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = False

    levels: Counts = (48, 40, 32, 24, 16)
    """How many shades are left between black and white, both counted, at each severity."""

    def __post_init__(self) -> None:
        require_tables(least=2, levels=self.levels)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        steps = at(severity, self.levels) - 1
        return (x * steps).round_().div_(steps).clamp_(0, 1)
