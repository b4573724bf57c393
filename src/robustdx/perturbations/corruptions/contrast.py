"""An image whose blacks and whites come together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.draws import Draws
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Washed out (Hendrycks and Dietterich 2019): every channel drawn to its mean over the image, m + kept (x - m)."""

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = False

    kept: Table = (0.4, 0.3, 0.2, 0.1, 0.05)
    """How much of the difference from the mean is left at each severity."""

    def __post_init__(self) -> None:
        require_tables(least=0, kept=self.kept)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        return (x.mean((2, 3), keepdim=True).lerp(x, at(severity, self.kept))).clamp_(0, 1)
