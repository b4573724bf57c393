"""What decisions cost: a table of costs, and the mean over patients. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from robustdx.errors import DataError
from robustdx.metrics.answers import Answers, Floats
from robustdx.metrics.intervals import Resamples, Statistic, divide, exact_share

PER = 1000
NAMES = ("cost_per_1000",)


def expected_cost(decisions: ArrayLike, labels: ArrayLike, costs: ArrayLike, patients: Sequence[object] | None = None) -> float:
    """The expected cost of 1,000 patients, in the units of the table.

    `costs` has a row for each true class and a column for each decision. The cost of a patient is the mean over the patient's
    images; `patients` names the patient of each image; left out, each image is a patient.

    >>> expected_cost(decisions=[0, 1, 0, 0], labels=[1, 1, 0, 0], costs=[[0, 1], [10, 0]])
    2500.0
    """
    each = _each(np.asarray(labels, dtype=int).ravel(), np.asarray(decisions, dtype=int).ravel(), costs)
    groups = np.arange(len(each)) if patients is None else np.unique(np.asarray(list(map(str, patients))), return_inverse=True)[1]
    return float(np.mean(np.bincount(groups, weights=each) / np.bincount(groups)) * PER)


def cost_metrics(answers: Answers, costs: ArrayLike, resamples: Resamples) -> dict[str, Statistic]:
    """cost_per_1000, with every patient counting once."""
    each = _each(answers.truth.argmax(1), answers.decided.argmax(1), costs)
    share = 1 / np.bincount(resamples.groups)[resamples.groups]
    totals = resamples.totals({"cost": each * share, "patients": share})
    mean = divide(totals["cost"].values[:, 0], totals["patients"].values[:, 0])
    most = float(np.max(np.asarray(costs, dtype=float)))
    low, high = exact_share(float(mean[0]) / most, int(totals["patients"].patients[0]))
    return {"cost_per_1000": Statistic(mean * PER, (low * most * PER, high * most * PER), "no image")}


def _each(labels: np.ndarray, decisions: np.ndarray, costs: ArrayLike) -> Floats:
    """The cost of each image."""
    table = np.asarray(costs, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise DataError(f"expected a square table of costs, a row for each true class, got the shape {table.shape}")
    if len(labels) != len(decisions) or max(labels.max(initial=0), decisions.max(initial=0)) >= len(table):
        raise DataError(f"expected a label and a decision among {len(table)} classes for each image: check classes and costs")
    return table[labels, decisions]
