"""The model tried on a few images: probes, the steps that they call for, a search without gradients after them, and larger budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from robustdx.auditing.cell import Batch, Row, clean_rows
from robustdx.auditing.escalation.climb import Escalation, badness
from robustdx.auditing.escalation.probes import Probes, probe
from robustdx.auditing.escalation.sample import Sample
from robustdx.auditing.escalation.steps import STRONG, Step, best_view, steps, without_gradient
from robustdx.auditing.escalation.views import View, views
from robustdx.models import DiagnosticModel
from robustdx.records import Cell
from robustdx.threats import Linf, Threat, everywhere

VERDICT = ("verdict",)
"""The name of the draws that a verdict is made with."""
FEW = 8
"""Images whose budget is raised until none of them stands."""
RAISES = 7
"""How often."""
FACTOR = 4


@dataclass(frozen=True)
class Trial:
    """What the sample showed."""

    eps: float
    probes: Probes
    standing: int
    """Images of the sample that stand after every step that follows a gradient."""
    beyond: int
    """Those of them that a search without gradients then broke."""
    larger: Sequence[tuple[float, int, int]]
    """Larger budgets: eps, images that stand there, of how many."""

    @property
    def trusted(self) -> bool:
        return self.beyond == 0

    def steps(self, model: DiagnosticModel, eps: float) -> list[Step]:
        """The steps for every image at this eps."""
        return steps(model, views(model), self.probes, eps, VERDICT, trusted=self.trusted)

    def words(self) -> dict[str, Any]:
        found = {"eps": self.eps, "standing": self.standing, "beyond": self.beyond, "larger": [list(rung) for rung in self.larger]}
        return {**found, "probes": self.probes.words()}

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> Trial:
        larger = [(eps, stand, of) for eps, stand, of in words["larger"]]
        return cls(words["eps"], Probes.of(words["probes"]), words["standing"], words["beyond"], larger)


def trial(model: DiagnosticModel, batch: Batch, threat: Threat, seed: int) -> Trial:
    """Try a model on the images of one small batch."""
    sample = Sample(batch.x, batch.y, batch.facing(threat), batch.draws(seed))
    found = views(model)
    probes = probe(model, found, sample)
    clean = {row["id"]: row for row in clean_rows(model, batch, seed)}
    gradient = steps(model, found, probes, threat.eps, VERDICT, trusted=True)
    rows = _climb(model, gradient, batch, threat, seed, clean, [])
    standing = _standing(rows)
    asked = [Step(f"without gradient {n}", found[0], attack, "") for n, attack in enumerate(without_gradient(found[0]))]
    after = _climb(model, asked, batch, threat, seed, clean, rows)
    larger = _larger(model, found, probes, batch, threat, seed, after) if _standing(after) else []
    return Trial(threat.eps, probes, standing, standing - _standing(after), larger)


def _climb(
    model: DiagnosticModel, made: Sequence[Step], batch: Batch, threat: Threat, seed: int, clean: Mapping[str, Row], before: Sequence[Row]
) -> list[Row]:
    cell = Cell("trial", "", threat.eps, "", {}, True, "saved")
    return Escalation(model, made, threat, cell, seed, clean, [{row["id"]: row for row in before}] if before else [])(batch, 0)


def _larger(
    model: DiagnosticModel, found: list[View], probes: Probes, batch: Batch, threat: Threat, seed: int, rows: Sequence[Row]
) -> list[tuple[float, int, int]]:
    """Larger budgets, until nothing stands or there is nothing larger: a sound attack ends at 0."""
    best = best_view(found, probes)
    places = [n for n, row in enumerate(rows) if badness(row) < 1][:FEW]
    some, rungs, left = batch.only(torch.tensor(places, dtype=torch.long)), [], len(places)
    for eps in _raised(threat):
        if not left:
            break
        ball, clean = replace(threat, eps=eps), {row["id"]: row for row in clean_rows(model, some, seed)}  # type: ignore[type-var]
        made = [Step("followed", best, STRONG, "")] if best is not None else []
        asked = [Step("asked", found[0], attack, "") for attack in without_gradient(found[0], samples=16, queries=100)]
        left = _standing(_climb(model, [*made, *asked], some, ball, seed, clean, []))
        rungs.append((eps, left, len(places)))
    return rungs


def _raised(threat: Threat) -> list[float]:
    largest = 1.0 if isinstance(everywhere(threat), Linf) else float("inf")
    raised = [threat.eps * FACTOR**n for n in range(1, RAISES)]
    return [eps for eps in raised if eps < largest] + ([largest] if largest == 1.0 else [])


def _standing(rows: Sequence[Row]) -> int:
    return sum(badness(row) < 1 for row in rows)
