"""One batch of images in memory: attacked, doubted and judged, without a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from robustdx.attacks import Attack
from robustdx.auditing.cell import Batch, Row, attacked_rows, clean_rows
from robustdx.auditing.escalation.climb import PLAIN, Escalation
from robustdx.auditing.escalation.sample import MOST
from robustdx.auditing.escalation.trial import trial
from robustdx.auditing.escalation.verdict import judged
from robustdx.auditing.evidence import Evidence
from robustdx.models import DiagnosticModel, still
from robustdx.models.crafting import Subject
from robustdx.records import ESCALATION, Cell, table
from robustdx.tensors import Images
from robustdx.threats import Threat


@dataclass(frozen=True)
class Examined:
    """What came of it."""

    clean: Sequence[Row]
    claimed: Sequence[Row]
    """After the plain attack."""
    rows: Sequence[Row]
    """After the escalation."""
    images: Images
    """The saved images of `rows`: the worst of each, or the clean one."""
    judgement: dict[str, Any]
    """As in results.json: verdict, why, flags, steps, staircase, trial."""


def examine(model: DiagnosticModel, batch: Batch, attack: Attack, threat: Threat, seed: int = 0) -> Examined:
    """Attack the images, try the model on the first few that it gets right, go on with what it calls for, and judge.

    Cost per image: that of the attack, and for what stands after it that of the steps, which `steps` of the judgement names.
    """
    with still(model):
        clean = clean_rows(model, batch, seed)
        claimed, saved = attacked_rows(Subject(model), batch, clean, attack, threat, "plain", seed)
        right = [n for n, row in enumerate(clean) if row["clean_decision"] == [int(v) for v in row["label"]]][:MOST]
        few = batch.only(batch.y.new_tensor(right).long())
        found = trial(model, few, threat, seed)
        made = found.steps(model, threat.eps)
        settings = {"name": ESCALATION, "members": [{"name": PLAIN}, *({"name": step.name} for step in made)]}
        cell = Cell(ESCALATION, "", threat.eps, "test", settings, early_stop=True, verdict="saved")
        before = {row["id"]: row for row in claimed}
        kept = dict(zip(batch.ids, saved, strict=True))
        rows = Escalation(model, made, threat, cell, seed, {row["id"]: row for row in clean}, [before], kept)(batch, 0)
    words = {**found.words(), "steps": [{"name": step.name, "why": step.why} for step in made]}
    images = torch.stack([kept[i] for i in batch.ids])
    return Examined(clean, claimed, rows, images, judged(words, [Evidence.read(cell, table(rows), None)]))
