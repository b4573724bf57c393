"""Another window of grey values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import between, require_picture, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Window:
    """A narrower, shifted window: what the reader, or the export, set otherwise than the model's training did.

    Grey values from `low` to `high` are stretched to [0, 1] and the rest is clipped. How the loss divides between the dark and the
    bright end is drawn once; with severity the window narrows, so that each window lies within the one before. Grey values keep
    their order.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("ct", "mr", "x-ray")
    random: ClassVar[bool] = True

    lost: Table = (0.08, 0.16, 0.26, 0.38, 0.52)
    """The share of grey values that is clipped."""

    def __post_init__(self) -> None:
        require_tables(least=0, most=0.95, lost=self.lost)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "window")
        lost = at(severity, self.lost)
        low = lost * between(0, 1, uniforms(x, draws.fork("level"), 1)[:, 0])
        return ((x - low) / (1 - lost)).clamp(0, 1).to(x.dtype)
