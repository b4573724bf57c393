"""The records of one cell as arrays, and the worst case over the attacks of one budget. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from robustdx.metrics import Answers, answers, worst_decisions
from robustdx.metrics.answers import Kind
from robustdx.records import Cell

Form = str
FORMS = ("clean", "searched", "saved")


@dataclass(frozen=True)
class Evidence:
    """What happened to the N images of one cell."""

    cell: Cell
    ids: Sequence[str]
    patients: Sequence[str | None]
    labels: NDArray[Any]
    """(N, C): C is 1, or the number of findings."""
    decisions: Mapping[Form, NDArray[Any]]
    """(N, C) for clean, searched and saved."""
    scores: Mapping[Form, NDArray[Any]]
    """(N, K) for clean, searched and saved; empty for the worst case, which has decisions only."""
    forwards: int
    backwards: int
    seconds: float | None
    goals: Mapping[Form, NDArray[Any]] = field(default_factory=dict)
    """(N,) for each form, where the adversary has a goal: 1 reached, 0 not, NaN where it cannot be asked of the image."""
    passes: NDArray[Any] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    """(N, 2) forward and backward passes of each image; empty for the worst case."""
    members: Sequence[str | None] = ()
    """(N,) the member of a cascade that broke each image; empty where the records do not say."""
    distances: NDArray[Any] = field(default_factory=lambda: np.zeros(0))
    """(N,) how far each image as found is from the true one, in the units of eps; empty for the worst case."""

    @classmethod
    def read(cls, cell: Cell, records: pa.Table, seconds: float | None) -> Evidence:
        """From the records of a whole cell; a form that was not looked at is left out."""
        seen = [form for form in FORMS if not records[f"{form}_decision"].null_count]
        return cls(
            cell,
            records["id"].to_pylist(),
            records["patient"].to_pylist(),
            rows(records["label"]),
            {form: rows(records[f"{form}_decision"]) for form in seen},
            {form: rows(records[f"{form}_scores"]) for form in seen},
            int(np.sum(records["forwards"].to_numpy())),
            int(np.sum(records["backwards"].to_numpy())),
            seconds,
            {form: _goals(records, form) for form in seen if _has_goal(records, form)},
            np.stack([records["forwards"].to_numpy(), records["backwards"].to_numpy()], axis=1),
            records["member"].to_pylist() if "member" in records.column_names else (),
            records["searched_distance"].to_numpy(),
        )

    @property
    def form(self) -> Form:
        """What the numbers of this cell are about."""
        return "clean" if self.cell.attack == "clean" else self.cell.verdict

    @property
    def other(self) -> Form | None:
        """The form that is not the verdict, where there is one."""
        other = "searched" if self.form == "saved" else "saved"
        return other if self.form != "clean" and other in self.decisions else None

    @property
    def patient_count(self) -> int | None:
        """How many patients; None where an image does not say whose it is."""
        return None if None in self.patients else len(set(self.patients))

    @property
    def groups(self) -> list[tuple[bool, str]]:
        """What intervals are drawn over: the patient, or the image where no patient is named."""
        return [(patient is None, i if patient is None else patient) for i, patient in zip(self.ids, self.patients, strict=True)]

    def answers(self, kind: Kind, classes: Sequence[str], form: Form) -> Answers:
        """The images in one form, laid out for the metrics."""
        return answers(kind, classes, self.labels, self.decisions[form], self.scores.get(form))

    def take(self, ids: Sequence[str]) -> Evidence:
        """The same cell, of these images in this order."""
        place = {i: n for n, i in enumerate(self.ids)}
        at = [place[i] for i in ids]
        decisions, scores, goals = ({form: a[at] for form, a in arrays.items()} for arrays in (self.decisions, self.scores, self.goals))
        return replace(
            self,
            ids=list(ids),
            patients=[self.patients[n] for n in at],
            labels=self.labels[at],
            decisions=decisions,
            scores=scores,
            goals=goals,
            passes=self.passes[at] if len(self.passes) else self.passes,
            members=[self.members[n] for n in at] if self.members else (),
            distances=self.distances[at] if len(self.distances) else self.distances,
        )

    def spread(self, over: Evidence) -> Evidence:
        """The same attack over the images of another cell: those that it was not shown are as they came."""
        place = {i: n for n, i in enumerate(self.ids)}
        shown, at = np.array([i in place for i in over.ids]), np.array([place.get(i, 0) for i in over.ids])
        clean, wanted = over.decisions["clean"], over.goals.get("clean")
        decisions = {form: np.where(shown[:, None], a[at], clean) for form, a in self.decisions.items()}
        goals = {form: np.where(shown, a[at], wanted) for form, a in self.goals.items() if wanted is not None}
        return replace(
            over,
            cell=self.cell,
            decisions=decisions,
            scores={},
            forwards=self.forwards,
            backwards=self.backwards,
            seconds=self.seconds,
            goals=goals,
            passes=over.passes[:0],
            members=(),
        )


def rows(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column of lists of one length as an (N, length) array."""
    flat = np.concatenate([chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks] or [np.empty(0)])
    return flat.reshape(len(column), -1) if len(column) else flat.reshape(0, 1)


def _has_goal(records: pa.Table, form: Form) -> bool:
    """Records from before there were goals have no such column."""
    name = f"{form}_goal"
    return name in records.column_names and records[name].null_count < len(records)


def _goals(records: pa.Table, form: Form) -> NDArray[Any]:
    return np.array([np.nan if reached is None else float(reached) for reached in records[f"{form}_goal"].to_pylist()])


def aligned(attacks: Sequence[Evidence]) -> list[Evidence]:
    """The images that all attacks have seen, in the order of the first; an attack that is shown drawn images only does not count there.

    On the other images it has done nothing, and the worst case is that of the attacks that were shown them.
    """
    whole = [a for a in attacks if a.cell.images is None] or [max(attacks, key=lambda a: len(a.ids))]
    common = set(whole[0].ids).intersection(*(a.ids for a in whole))
    first = whole[0].take([i for i in whole[0].ids if i in common])
    return [a.take(first.ids) if any(a is w for w in whole) else a.spread(first) for a in attacks]


def worst(attacks: Sequence[Evidence]) -> Evidence:
    """The worst case over aligned attacks of one budget: an image is robust only if it was right and every attack failed."""
    first = attacks[0]
    forms = [form for form in ("searched", "saved") if all(form in a.decisions for a in attacks)]
    clean = first.decisions["clean"]
    decided = {form: worst_decisions(first.labels, clean, [a.decisions[form] for a in attacks]) for form in forms}
    goals = {form: np.max([a.goals[form] for a in attacks], axis=0) for form in FORMS if all(form in a.goals for a in attacks)}
    seconds = [a.seconds for a in attacks if a.seconds is not None]
    return Evidence(
        Cell("worst", first.cell.threat, first.cell.eps, first.cell.split, {}, any(a.cell.early_stop for a in attacks), first.cell.verdict),
        first.ids,
        first.patients,
        first.labels,
        {"clean": clean, **decided},
        {},
        sum(a.forwards for a in attacks),
        sum(a.backwards for a in attacks),
        sum(seconds) if len(seconds) == len(attacks) else None,
        goals,
    )
