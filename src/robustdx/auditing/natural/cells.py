"""The cells of a plan without an adversary, and what makes the records of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from robustdx.auditing.cell import Row
from robustdx.auditing.natural.boxed import LABEL, Boxed
from robustdx.auditing.natural.clips import Clip
from robustdx.auditing.natural.framed import Framed
from robustdx.auditing.natural.groups import FILE, subgroups
from robustdx.auditing.natural.inside import LABEL as INSIDE
from robustdx.auditing.natural.looked import Looked, conclude, require_inside
from robustdx.auditing.natural.perturbed import Perturbed
from robustdx.auditing.natural.recorded import recorded
from robustdx.auditing.natural.words import Shown
from robustdx.auditing.pictures import Pictures
from robustdx.data import Dataset
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.records import ANALYSIS, PERTURBATION, SEQUENCE, WORST_CASE, Cell
from robustdx.store import Store

if TYPE_CHECKING:
    from robustdx.auditing.plan import AuditPlan
    from robustdx.auditing.run import Audit

CRAFTS: Mapping[str, Callable[..., Any]] = {PERTURBATION: Perturbed, SEQUENCE: Framed, WORST_CASE: Boxed, ANALYSIS: Looked}
"""By the kind of a cell, what makes its rows: made of the cell, its method, the model, the clean rows and the seed."""


def natural_cells(plan: AuditPlan, split: str, dataset: Dataset) -> Iterator[tuple[Cell, Any]]:
    """The cells that a plan asks for, with their methods: perturbations by severity, sequences, the worst case.

    Where it asks for no sequences and the data are a frozen set, those of the set.
    """
    held = recorded(dataset) if plan.sequences is None else []
    for shown in plan.shown():
        yield from ((_perturbed(shown, severity, split), shown.method) for severity in shown.severities)
    yield from ((_framed(clip, split), clip.method) for clip in held or plan.clips())
    if found := plan.handling():
        yield _cell(WORST_CASE, LABEL, split, found.settings, found.images, early_stop=found.worst.early_stop), found
    if looked := plan.inside():
        yield _cell(ANALYSIS, INSIDE, split, looked.settings, looked.images), looked


def make_natural(audit: Audit, store: Store, judge: DiagnosticModel, clean: Mapping[str, Row], tell: Callable[[Cell, int], None]) -> None:
    """Make every such cell that is not whole yet; `judge` must be still."""
    if audit.plan.subgroups:
        store.write_json(FILE, subgroups(audit.data[audit.split], audit.plan.subgroups))
    for cell, method in audit.natural:
        if not store.has(cell):
            craft = CRAFTS[cell.natural](cell, method, judge, clean, audit.plan.seed)
            if cell.natural == WORST_CASE:
                craft = replace(craft, pictures=Pictures(store, cell, audit.plan.pictures))
            if cell.natural == ANALYSIS:
                craft = replace(craft, dataset=audit.shown(cell))
            audit.make(store, craft, audit.shown(cell), lambda n, cell=cell: tell(cell, n))  # type: ignore[misc]
        if cell.natural == ANALYSIS:
            conclude(store, cell, method)
        tell(cell, len(audit.shown(cell)))


@torch.no_grad()
def require_natural(plan: AuditPlan, model: DiagnosticModel) -> None:
    """Try everything on one grey image, so that what does not fit it (too small, no colour) is refused before a folder is made."""
    x = torch.full((1, model.channels, *(model.size or (64, 64))), 0.5, device=model.mean.device)
    for shown in plan.shown():
        shown.method(x, shown.severities[-1], Draws(0, ("trial",)))
    for clip in plan.clips():
        for _ in clip.method.frames(x, 2, Draws(0, ("trial",))):
            pass
    if looked := plan.inside():
        with torch.enable_grad():
            require_inside(looked, model)


def said(cell: Cell) -> str:
    """A cell as the progress shows it."""
    told = {PERTURBATION: f"{cell.attack}, severity {cell.severity}", WORST_CASE: "worst case of handling", ANALYSIS: "looking inside"}
    return told.get(cell.natural, f"{cell.natural} {cell.attack}")


def _perturbed(shown: Shown, severity: int, split: str) -> Cell:
    return _cell(PERTURBATION, shown.label, split, shown.settings, shown.images, severity=severity)


def _framed(clip: Clip, split: str) -> Cell:
    return _cell(SEQUENCE, clip.label, split, clip.settings, clip.images, frames=clip.count, compared=clip.method.compared)


def _cell(kind: str, label: str, split: str, settings: Mapping[str, Any], images: int | None, **more: Any) -> Cell:
    return Cell(label, "", 0.0, split, settings, **{"early_stop": False, **more}, verdict="saved", images=images, natural=kind)
