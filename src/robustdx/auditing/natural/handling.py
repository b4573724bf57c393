"""The worst case within plausible parameters next to the average: part of results.json. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from robustdx.auditing.evidence import Evidence
from robustdx.auditing.natural.measures import Ruler, differences, told
from robustdx.auditing.toll import breakable, broken
from robustdx.metrics.accuracy import accuracy_metrics
from robustdx.metrics.answers import Answers
from robustdx.metrics.intervals import Statistic, share
from robustdx.records import Cell

SHOWN = ("accuracy", "balanced_accuracy")
"""The search ends at its first success, so that scores say nothing about ranking."""
WIDTHS = {"shift_x": "shift", "shift_y": "shift"}
"""Parameters whose half-width has another name in the box."""


@dataclass(frozen=True)
class Handled:
    """What a worst case found on N images."""

    evidence: Evidence
    parameters: list[dict[str, float]]
    """Of each image, by name."""
    errors: NDArray[np.float64]
    """(N, count) shares of wrong decisions at random points."""

    @classmethod
    def read(cls, cell: Cell, records: pa.Table, seconds: float | None) -> Handled:
        """From the records of a whole cell."""
        parameters = [dict(own) for own in records["parameters"].to_pylist()]
        return cls(Evidence.read(cell, records, seconds), parameters, np.asarray(records["sampled_errors"].to_pylist(), dtype=np.float64))


def worst_case(h: Handled, ruler: Ruler) -> dict[str, Any]:
    """The worst case, the average beside it, and the parameters that did it."""
    e, patients = h.evidence, len(set(h.evidence.groups))
    resamples = ruler.resamples(e)
    clean, after = (e.answers(ruler.kind, ruler.classes, form) for form in ("clean", "saved"))
    came, worst = ({name: accuracy_metrics(a, resamples)[name] for name in SHOWN} for a in (clean, after))
    average = {"accuracy": _average(h.errors, clean, ruler, e)}
    words = {
        "key": e.cell.key,
        "settings": dict(e.cell.settings),
        "images": len(e.ids),
        "patients": e.patient_count,
        "forwards": e.forwards,
        "backwards": e.backwards,
        "seconds": e.seconds,
        "broken": {"images": int(broken(e).sum()), "of": int(breakable(e).sum())},
        "clean": told(came),
        "average": {"metrics": told(average), "change": told(differences(came, average, patients))},
        "worst": {"metrics": told({**worst, **ruler.changes(e)}), "change": told(differences(came, worst, patients))},
        "parameters": _parameters(h),
    }
    return {"worst_case": words}


def _average(errors: NDArray[np.float64], clean: Answers, ruler: Ruler, e: Evidence) -> Statistic:
    """Accuracy over random points: each image counts by its annotated decisions."""
    asked = clean.annotated.any(1).astype(float) if clean.exclusive else clean.annotated.sum(1).astype(float)
    totals = ruler.resamples(e).totals({"right": asked * (1 - errors.mean(1)), "asked": asked})
    return share(totals["right"], totals["asked"], "no annotated label")


def _parameters(h: Handled) -> list[dict[str, Any]]:
    """By parameter: how far it may go, and how much of that the images use that were broken (mean, and quarters of their values)."""
    box: Mapping[str, Any] = h.evidence.cell.settings.get("box", {})
    at = np.flatnonzero(broken(h.evidence))
    found = []
    for name in h.parameters[0] if h.parameters else ():
        width, values = float(box[WIDTHS.get(name, name)]), np.array([h.parameters[i][name] for i in at])
        quarters = [float(q) for q in np.quantile(values, (0.25, 0.5, 0.75))] if len(values) else None
        used = float(np.abs(values).mean() / width) if len(values) and width else None
        found.append({"name": name, "width": width, "used": used, "quarters": quarters})
    return found
