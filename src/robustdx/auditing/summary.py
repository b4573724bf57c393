"""results.json: every number of a run with its interval, from the store alone. No torch.

The file is described in docs/results.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from robustdx.auditing.diagnose import diagnose
from robustdx.auditing.escalation.verdict import judged, unquestioned
from robustdx.auditing.evidence import Evidence, aligned, worst
from robustdx.auditing.natural.results import natural
from robustdx.auditing.toll import toll
from robustdx.errors import RunError
from robustdx.metrics import Answers, OperatingPoint, Resamples, accuracy_metrics, default_point, fix, measure
from robustdx.metrics.intervals import LEVEL
from robustdx.metrics.measure import interval
from robustdx.store import Store

SCHEMA = 1
VALIDATION = "val"
EARLY_STOP = "the search stopped at its first success, so the scores were not driven to the end and say nothing about ranking"
NO_SCORE = "the worst case over attacks has a decision for each image but no score: see each attack's own cell"
CARRIED = ("robustdx", "command", "model", "data", "plan", "precision", "versions", "seed")
"""What results.json says again from run.json, so that it can be read alone."""


def write_results(store: Store, resamples: int | None = None, seed: int = 0) -> None:
    """Write results.json into the run."""
    results = summarise(store, resamples, seed)
    store.write_text("results.json", json.dumps(results, indent=1, allow_nan=False, ensure_ascii=False))


def summarise(store: Store, resamples: int | None = None, seed: int = 0) -> dict[str, Any]:
    """All numbers of a run; `resamples` is what run.json says where it is not given, or 1000.

    Raises:
        RunError: the folder has no run.json or no whole cell.
    """
    run = _started(store)
    evidence = [Evidence.read(cell, records, store.seconds(cell) or None) for cell, records in store.cells()]
    if not evidence:
        raise RunError(f"expected at least one whole cell in {store.path}, found none: run the audit's command again to go on")
    resamples = resamples or int(run.get("bootstrap", 1000))
    point = operating_point(evidence, run["data"])
    labels = _labels(run, "black_box"), _labels(run, "minimal")
    cells = [c for split in _by_split(evidence) for c in _Split(run["data"], point, split, resamples, seed, _costs(run), *labels).cells()]
    grouped = all(e.patient_count is not None for e in evidence)
    return {
        "schema": SCHEMA,
        **{name: run[name] for name in CARRIED if name in run},
        "intervals": {"level": LEVEL, "resamples": resamples, "seed": seed, "over": "patients" if grouped else "images"},
        "operating_point": _point_in_words(point, run["data"]),
        "escalation": _escalation(store, run, evidence),
        "flags": diagnose([c for c in cells if c["split"] != VALIDATION] or cells, run["data"]["kind"]),
        "cells": cells,
        **natural(store, run, [e for e in evidence if e.cell.attack == "clean"], resamples, seed),
    }


def _escalation(store: Store, run: Mapping[str, Any], evidence: Sequence[Evidence]) -> dict[str, Any]:
    """What may be believed of the robust accuracy."""
    if not (store.path / "escalation.json").is_file():
        return {"verdict": "not questioned", "why": unquestioned(run.get("plan", {}))}
    return judged(store.read_json("escalation.json"), evidence)


def operating_point(evidence: Sequence[Evidence], data: Mapping[str, Any]) -> OperatingPoint:
    """Fixed on the clean validation images; 0.5 where there are none, or where they are what is audited."""
    validation = next((e for e in evidence if e.cell.attack == "clean" and e.cell.split == VALIDATION), None)
    if validation is None or all(e.cell.split == VALIDATION for e in evidence):
        return default_point(len(data["classes"]))
    return fix(validation.answers(data["kind"], data["classes"], "clean"))


@dataclass(frozen=True)
class _Split:
    """The cells of one split: their intervals are drawn over the same resampled patients."""

    data: Mapping[str, Any]
    point: OperatingPoint
    evidence: Sequence[Evidence]
    resamples: int
    seed: int
    costs: Sequence[Sequence[float]] | None
    """What each decision costs, where the adversary's goal says so."""
    asking: frozenset[str] = frozenset()
    """Labels of the attacks that only ask the network."""
    minimal: frozenset[str] = frozenset()
    """Labels of those that look for the smallest change."""

    def cells(self) -> Iterator[dict[str, Any]]:
        """Clean first, then by threat and eps, the worst case after its attacks."""
        # Sorted by name, so that neither the order of the records nor that of the cells changes what is drawn.
        place = {name: n for n, name in enumerate(sorted({g for e in self.evidence for g in e.groups}))}
        drawn = Resamples.draw(np.arange(len(place)), self.resamples, self.seed)
        for _, same_budget in groupby(sorted(self.evidence, key=_order), key=lambda e: _order(e)[:3]):
            own = list(same_budget)
            for e in own:
                yield self._cell(e, [e], drawn.at([place[g] for g in e.groups]))
            if own[0].cell.attack != "clean":
                attacks = aligned(own)
                yield self._cell(worst(attacks), attacks, drawn.at([place[g] for g in attacks[0].groups]))

    def _cell(self, e: Evidence, attacks: Sequence[Evidence], resamples: Resamples) -> dict[str, Any]:
        attacked = e.cell.attack != "clean"
        measured = measure(
            self._answers(e, e.form),
            resamples,
            self.point,
            clean=self._answers(e, "clean") if attacked else None,
            attacked=[self._answers(a, a.form) for a in attacks],
            reached=e.goals.get(e.form),
            costs=self.costs,
            scores_say_nothing=NO_SCORE if not e.scores else EARLY_STOP if e.cell.early_stop else "",
        )
        found = {**_facts(e), **(self._toll(e) if attacked else {}), "metrics": measured.metrics}
        if e.other:
            found[e.other] = _other_form(self._answers(e, e.other), resamples)
        return {**found, "omitted": measured.omitted}

    def _toll(self, e: Evidence) -> dict[str, Any]:
        several = self.data["kind"] == "multilabel" and e.form not in e.goals
        return toll(e, asks=e.cell.attack in self.asking, minimal=e.cell.attack in self.minimal, several=several)

    def _answers(self, e: Evidence, form: str) -> Answers:
        return e.answers(self.data["kind"], self.data["classes"], form)


def _costs(run: Mapping[str, Any]) -> Sequence[Sequence[float]] | None:
    return (run.get("plan", {}).get("goal") or {}).get("costs")


def _labels(run: Mapping[str, Any], kind: str) -> frozenset[str]:
    """Labels of the attacks of a kind."""
    return frozenset(label for label, about in run.get("documents", {}).items() if about.get(kind))


def _facts(e: Evidence) -> dict[str, Any]:
    return {
        "key": e.cell.key,
        "attack": e.cell.attack,
        "threat": e.cell.threat,
        "eps": e.cell.eps,
        "split": e.cell.split,
        "images": len(e.ids),
        "patients": e.patient_count,
        "passes": e.forwards + e.backwards,
        "forwards": e.forwards,
        "backwards": e.backwards,
        "seconds": None if e.seconds is None else round(e.seconds, 3),
        "verdict": e.cell.verdict,
        "settings": dict(e.cell.settings),
        "early_stop": e.cell.early_stop,
    }


def _other_form(answers: Answers, resamples: Resamples) -> dict[str, dict[str, float]]:
    found = accuracy_metrics(answers, resamples)
    return {name: interval(found[name]) for name in ("accuracy", "balanced_accuracy") if found[name].defined}


def _point_in_words(point: OperatingPoint, data: Mapping[str, Any]) -> dict[str, Any]:
    thresholds = [float(t) for t in point.thresholds]
    words = {
        "threshold": thresholds[1] if data["kind"] == "binary" else thresholds,
        "from": VALIDATION if point.images else "default 0.5",
        "images": point.images,
    }
    return {**words, "default": list(point.defaults)} if point.defaults else words


def _by_split(evidence: Sequence[Evidence]) -> list[list[Evidence]]:
    """What was attacked comes first, validation last."""
    splits = sorted({e.cell.split for e in evidence}, key=lambda s: (s == VALIDATION, s))
    return [[e for e in evidence if e.cell.split == split] for split in splits]


def _order(e: Evidence) -> tuple[bool, str, float, str]:
    return e.cell.attack != "clean", e.cell.threat, e.cell.eps, e.cell.attack


def _started(store: Store) -> dict[str, Any]:
    path = store.path / "run.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"expected {path}, which an audit writes when it starts, got {error}: give the folder of an audit") from error
