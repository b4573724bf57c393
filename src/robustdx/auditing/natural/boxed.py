"""A cell of the worst case within plausible parameters, and the average beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from robustdx.auditing.cell import Batch, Judge, Row, aimed_at, handed_in
from robustdx.auditing.natural.perturbed import NOT_SEARCHED
from robustdx.auditing.natural.words import require_number
from robustdx.auditing.pictures import Pictures
from robustdx.catalogue import build, dump
from robustdx.models import DiagnosticModel
from robustdx.models.crafting import Subject
from robustdx.perturbations.box import Sampled, WorstCase
from robustdx.records import BOXED, Cell

LABEL = "handling"
"""What its cell is called."""
OWN = ("images", "sampled")
"""Keys of the table that are the audit's and not the search's."""


@dataclass(frozen=True)
class Handling:
    """The search for the worst, and the random points for the average."""

    worst: WorstCase
    average: Sampled
    images: int | None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Handling:
        """From the words of a plan.

        Raises:
            PlanError: no such setting, or a value that does not fit.
        """
        words = dict(given)
        own = {key: words.pop(key) for key in OWN if key in words}
        worst: WorstCase = build(WorstCase, words, where="worst_case")
        count = require_number("worst_case", own.get("sampled"), "sampled") or Sampled().count
        return cls(worst, Sampled(box=worst.box, count=count), require_number("worst_case", own.get("images")))

    @property
    def settings(self) -> dict[str, Any]:
        """In words, spelt out."""
        return {**dump(self.worst), "sampled": self.average.count}

    def words(self) -> dict[str, Any]:
        """As a plan has it: what a run belongs to."""
        return self.settings if self.images is None else {**self.settings, "images": self.images}


@dataclass(frozen=True)
class Boxed:
    """How the batches of the cell are made. Cost per image: the search's passes, and one for each random point."""

    cell: Cell
    method: Handling
    model: DiagnosticModel
    """The model that is audited."""
    clean: Mapping[str, Row]
    """Records of the images as they came, by id."""
    seed: int
    pictures: Pictures | None = None
    schema: ClassVar[pa.Schema] = BOXED
    threat: ClassVar[None] = None

    def __call__(self, batch: Batch, n: int) -> list[Row]:
        """A row per image."""
        clean, draws = [self.clean[i] for i in batch.ids], batch.draws(self.seed).fork("worst case")
        y = aimed_at(self.model.task, batch.y, clean)
        found = self.method.worst(Subject(self.model), batch.x, y, draws)
        errors = self.method.average(self.model, batch.x, batch.y, draws.fork("average"))
        rows = handed_in(found.x_adv, batch, clean, Judge(self.model), self.seed)
        own = zip(rows, found.named, errors.tolist(), found.forwards, found.backwards, strict=True)
        made = [
            row | NOT_SEARCHED | {"parameters": list(at.items()), "sampled_errors": e, "forwards": f + len(e), "backwards": b}
            for row, at, e, f, b in own
        ]
        if self.pictures is not None:
            self.pictures.keep(n, made, batch.x, found.x_adv)
        return made
