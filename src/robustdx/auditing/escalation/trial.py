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
from robustdx.auditing.escalation.views import OWN, View, nearest_stand_in, views
from robustdx.models import DiagnosticModel
from robustdx.purifiers import PURIFIERS, Purifier
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
    """Images of the sample that stand after every step that follows a gradient; 0 where it is not smooth, and that was not tried."""
    beyond: int
    """Those of them that a search without gradients then broke."""
    larger: Sequence[tuple[float, int, int]]
    """Larger budgets: eps, images that stand there, of how many."""
    stand_in: Purifier | None = None
    """What does nearly what the model's purifier does, and has a gradient."""

    @property
    def trusted(self) -> bool:
        return self.beyond == 0

    def steps(self, model: DiagnosticModel, eps: float) -> list[Step]:
        """The steps for every image at this eps."""
        return steps(model, views(model, self.stand_in), self.probes, eps, VERDICT, trusted=self.trusted)

    def words(self) -> dict[str, Any]:
        found = {"eps": self.eps, "standing": self.standing, "beyond": self.beyond, "larger": [list(rung) for rung in self.larger]}
        return {**found, "probes": self.probes.words(), "stand_in": self.stand_in and PURIFIERS.dump(self.stand_in)}

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> Trial:
        larger = [(eps, stand, of) for eps, stand, of in words["larger"]]
        stand_in = PURIFIERS.parse(words["stand_in"]) if words.get("stand_in") else None
        return cls(words["eps"], Probes.of(words["probes"]), words["standing"], words["beyond"], larger, stand_in)


def trial(model: DiagnosticModel, batch: Batch, threat: Threat, seed: int) -> Trial:
    """Try a model on the images of one small batch."""
    sample = Sample(batch.x, batch.y, batch.facing(threat), batch.draws(seed))
    stand_in = nearest_stand_in(model, sample.x, sample.draws.fork("stand-in"))
    found = views(model, stand_in)
    probes = probe(model, found, sample)
    if not probes.slopes[OWN].smooth:  # then a search without gradients is called for in any case, and need not be tried
        some = batch.only(torch.arange(min(FEW, len(sample))))
        return Trial(threat.eps, probes, 0, 0, _larger(model, found, probes, some, threat, seed), stand_in)
    clean = {row["id"]: row for row in clean_rows(model, batch, seed)}
    rows = _climb(model, steps(model, found, probes, threat.eps, VERDICT, trusted=True), batch, threat, seed, clean, [])
    asked = [Step(f"without gradient {n}", found[0], attack, "") for n, attack in enumerate(without_gradient(found[0]))]
    after = _climb(model, asked, batch, threat, seed, clean, rows)
    places = [n for n, row in enumerate(after) if badness(row) < 1]
    some = batch.only(torch.tensor(places[:FEW], dtype=torch.long))
    larger = _larger(model, found, probes, some, threat, seed) if places else []
    return Trial(threat.eps, probes, _standing(rows), _standing(rows) - len(places), larger, stand_in)


def _climb(
    model: DiagnosticModel, made: Sequence[Step], batch: Batch, threat: Threat, seed: int, clean: Mapping[str, Row], before: Sequence[Row]
) -> list[Row]:
    cell = Cell("trial", "", threat.eps, "", {}, True, "saved")
    return Escalation(model, made, threat, cell, seed, clean, [{row["id"]: row for row in before}] if before else [])(batch, 0)


def _larger(
    model: DiagnosticModel, found: list[View], probes: Probes, some: Batch, threat: Threat, seed: int
) -> list[tuple[float, int, int]]:
    """Larger budgets, until nothing stands or there is nothing larger: a sound attack ends at 0."""
    best, rungs, left = best_view(found, probes), list[tuple[float, int, int]](), len(some.ids)
    for eps in _raised(threat):
        if not left:
            break
        ball, clean = replace(threat, eps=eps), {row["id"]: row for row in clean_rows(model, some, seed)}  # type: ignore[type-var]
        made = [Step("followed", best, STRONG, "")] if best is not None else []
        asked = [Step("asked", found[0], attack, "") for attack in without_gradient(found[0], samples=16, queries=100)]
        left = _standing(_climb(model, [*made, *asked], some, ball, seed, clean, []))
        rungs.append((eps, left, len(some.ids)))
    return rungs


def _raised(threat: Threat) -> list[float]:
    largest = 1.0 if isinstance(everywhere(threat), Linf) else float("inf")
    raised = [threat.eps * FACTOR**n for n in range(1, RAISES)]
    return [eps for eps in raised if eps < largest] + ([largest] if largest == 1.0 else [])


def _standing(rows: Sequence[Row]) -> int:
    return sum(badness(row) < 1 for row in rows)
