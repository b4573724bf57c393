"""The part of results.json without an adversary, from the store alone. No torch.

It is described in docs/results.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustdx.auditing.evidence import Evidence
from robustdx.auditing.natural.by_group import by_group
from robustdx.auditing.natural.flipping import Clips, sequences
from robustdx.auditing.natural.handling import Handled, worst_case
from robustdx.auditing.natural.measures import Ruler, Statistics, differences, means, told, untold
from robustdx.metrics.intervals import Resamples
from robustdx.records import PERTURBATION, SEQUENCE, WORST_CASE
from robustdx.store import Store

GROUPS = "subgroups.json"
"""Which image is of which subgroup."""
LOOKED = "analyses.json"
"""What the analyses said when they were done: not made again, since what they say needs more than the records of images."""


def natural(store: Store, run: Mapping[str, Any], clean: Sequence[Evidence], resamples: int, seed: int) -> dict[str, Any]:
    """`{"natural": ...}`, or nothing where nothing natural was asked; `clean` are the cells of the images as they came."""
    perturbed = [Evidence.read(cell, records, store.seconds(cell) or None) for cell, records in store.natural(PERTURBATION)]
    clips = [Clips.read(cell, records, store.seconds(cell) or None) for cell, records in store.natural(SEQUENCE)]
    boxes = [Handled.read(cell, records, store.seconds(cell) or None) for cell, records in store.natural(WORST_CASE)]
    looked = store.read_json(LOOKED) if (store.path / LOOKED).is_file() else None
    found = [e.cell for e in perturbed] + [c.cell for c in clips] + [h.evidence.cell for h in boxes]
    groups = store.read_json(GROUPS) if (store.path / GROUPS).is_file() else None
    if not found and not looked and not groups:
        return {}
    came = next(e for e in clean if e.cell.split == (found[0].split if found else run["data"]["split"]))
    ruler, about = ruler_of(came, run["data"], resamples, seed), run.get("natural", {})
    order = {kind: list(labels) for kind, labels in about.get("documents", {}).items()}
    words = {
        "split": came.cell.split,
        "modality": about.get("modality"),
        "clean": {"images": len(came.ids), "patients": came.patient_count, "metrics": told(ruler.headlines(came, "clean"))},
        **(perturbations(perturbed, ruler, order.get(PERTURBATION, [])) if perturbed else {}),
        **(sequences(clips, ruler, order.get(SEQUENCE, [])) if clips else {}),
        **(worst_case(boxes[0], ruler) if boxes else {}),
        **({"analyses": looked} if looked else {}),
        **({"subgroups": by_group(groups, came, perturbed, clips, ruler)} if groups else {}),
    }
    return {"natural": words}


def ruler_of(came: Evidence, data: Mapping[str, Any], resamples: int, seed: int) -> Ruler:
    """The draws that all cells of a split are judged on, as those of the attacks are."""
    place = {group: n for n, group in enumerate(sorted(set(came.groups)))}
    return Ruler(data["kind"], data["classes"], Resamples.draw(np.arange(len(place)), resamples, seed), place)


@dataclass(frozen=True)
class _Measured:
    """One severity of one perturbation."""

    evidence: Evidence
    metrics: Statistics
    change: Statistics
    moved: Statistics

    @classmethod
    def of(cls, e: Evidence, ruler: Ruler) -> _Measured:
        metrics, patients = ruler.headlines(e, e.form), len(set(e.groups))
        return cls(e, metrics, differences(ruler.headlines(e, "clean"), metrics, patients), ruler.changes(e))

    def words(self) -> dict[str, Any]:
        e = self.evidence
        omitted = untold(self.metrics) | untold(self.moved)
        about = {"severity": e.cell.severity, "key": e.cell.key, "forwards": e.forwards, "seconds": e.seconds}
        return {**about, "metrics": told({**self.metrics, **self.moved}), "change": told(self.change), "omitted": omitted}


def perturbations(evidence: Sequence[Evidence], ruler: Ruler, order: Sequence[str]) -> dict[str, Any]:
    """Each perturbation by severity with its mean over severities, in the order of the plan, and the mean over all of them."""
    labels = sorted({e.cell.attack for e in evidence}, key=lambda label: (order.index(label) if label in order else len(order), label))
    found, all_means = [], []
    for label in labels:
        own = [_Measured.of(e, ruler) for e in sorted(evidence, key=_severity) if e.cell.attack == label]
        first, over = own[0].evidence, (means([m.metrics for m in own]), means([m.change for m in own]))
        all_means.append(over)
        found.append(
            {
                "label": label,
                "settings": dict(first.cell.settings),
                "images": len(first.ids),
                "patients": first.patient_count,
                "severities": [m.words() for m in own],
                "mean": {"metrics": told(over[0]), "change": told(over[1])},
            }
        )
    metrics, change = (told(means([each[n] for each in all_means])) for n in (0, 1))
    return {"perturbations": found, "mean": {"metrics": metrics, "change": change}}


def _severity(e: Evidence) -> int:
    return e.cell.severity or 0
