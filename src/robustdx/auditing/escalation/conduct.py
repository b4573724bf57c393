"""The escalation of a whole audit: one trial, then a cell for each budget at which an image can be saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from robustdx.auditing.cell import Row
from robustdx.auditing.escalation.climb import PLAIN, Escalation, badness
from robustdx.auditing.escalation.sample import MOST
from robustdx.auditing.escalation.steps import Step
from robustdx.auditing.escalation.trial import Trial, trial
from robustdx.models import DiagnosticModel
from robustdx.records import ESCALATION, Cell
from robustdx.store import Store
from robustdx.threats import Threat

if TYPE_CHECKING:
    from robustdx.auditing.run import Audit

FILE = "escalation.json"


def budgets(audit: Audit) -> list[Threat]:
    """The budgets that are escalated: those at which an image can be saved. None where nobody attacks, or only by other networks."""
    if not audit.plan.escalation or audit.surrogate is not None or not audit.plan.chosen:
        return []
    return [threat for threat in audit.plan.threats() if threat.savable]


def escalate(audit: Audit, store: Store, model: DiagnosticModel, clean: Mapping[str, Row], tell: Callable[[Cell, int], None]) -> None:
    """Make every escalated cell that is not whole yet; `model` must be still."""
    if not (threats := budgets(audit)):
        return
    found = _tried(audit, store, model, threats[-1], clean)
    if found is None:
        return
    for threat in threats:
        made = found.steps(model, threat.eps)
        cell = escalated(audit, threat, made)
        if not store.has(cell):
            before = [_rows(store, other) for other, _, own in audit.plan.cells(audit.split) if own == threat]
            craft = Escalation(model, made, threat, cell, audit.plan.seed, clean, before)
            audit.make(store, craft, audit.data[audit.split], lambda n, cell=cell: tell(cell, n))  # type: ignore[misc]
        tell(cell, len(audit.data[audit.split]))


def _tried(audit: Audit, store: Store, model: DiagnosticModel, threat: Threat, clean: Mapping[str, Row]) -> Trial | None:
    """The trial of this run: read, where it was made before the run was stopped. None where no image is right to begin with."""
    if (store.path / FILE).is_file():
        return Trial.of(store.read_json(FILE))
    data = audit.data[audit.split]
    right = [n for n, example in enumerate(data.examples) if _stands(clean[example.id], aimed=audit.plan.goal is not None)]
    if not right:
        return None
    places = sorted({right[int(n)] for n in np.linspace(0, len(right) - 1, 1 if model.resize else min(MOST, len(right)))})
    found = trial(model, audit.batch(data, places), threat, audit.plan.seed)
    steps = [{"name": step.name, "why": step.why} for step in found.steps(model, threat.eps)]
    store.write_json(FILE, {**found.words(), "steps": steps})
    return found


def _stands(clean: Row, *, aimed: bool) -> bool:
    """Whether there is anything to break on an image as it came."""
    return clean["clean_goal"] is False if aimed else badness(clean) < 1


def escalated(audit: Audit, threat: Threat, made: Sequence[Step]) -> Cell:
    """The cell of an escalation."""
    members: list[dict[str, Any]] = [{"name": PLAIN}, *({"name": step.name} for step in made)]
    settings = {"name": ESCALATION, "members": members}
    return Cell(ESCALATION, audit.plan.threat, threat.eps, audit.split, settings, early_stop=True, verdict="saved")


def _rows(store: Store, cell: Cell) -> dict[str, Row]:
    return {row["id"]: row for row in store.records(cell).to_pylist()}
