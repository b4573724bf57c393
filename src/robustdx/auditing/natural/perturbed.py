"""A cell of a natural perturbation: the images changed, saved in 8 bits and judged, beside the same images as they came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from robustdx.auditing.cell import Batch, Judge, Row, handed_in
from robustdx.models import DiagnosticModel
from robustdx.perturbations import Perturbation
from robustdx.records import SCHEMA, Cell
from robustdx.tensors import Images


@dataclass(frozen=True)
class Perturbed:
    """How the batches of one cell are made. Cost per image: the perturbation and one forward pass."""

    cell: Cell
    method: Perturbation
    model: DiagnosticModel
    """The model that is audited."""
    clean: Mapping[str, Row]
    """Records of the images as they came, by id."""
    seed: int
    schema: ClassVar[pa.Schema] = SCHEMA
    threat: ClassVar[None] = None

    def __call__(self, batch: Batch, n: int) -> list[Row]:
        """A row per image."""
        # The severity is not forked into the draws: a hair lies where it lay, and only grows darker.
        draws = batch.draws(self.seed).fork("perturbation", self.cell.settings["name"])
        assert self.cell.severity is not None
        saved = on_grid(self.method(batch.x, self.cell.severity, draws))
        rows = handed_in(saved, batch, [self.clean[i] for i in batch.ids], Judge(self.model), self.seed)
        return [row | NOT_SEARCHED for row in rows]


SEARCHED = ("searched_scores", "searched_decision", "searched_goal", "searched_distance", "saved_distance", "member")
NOT_SEARCHED: Row = dict.fromkeys(SEARCHED)
"""What a record says of an image that nobody searched for."""


def on_grid(x: Images) -> Images:
    """Images as an 8-bit file would hold them."""
    return (x.clamp(0, 1) * 255).round() / 255
