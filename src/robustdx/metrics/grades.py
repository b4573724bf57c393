"""How far off ordered grades are: quadratic weighted kappa and the mean error in grades. No torch.

Quadratic weighted kappa (Cohen 1968) is 1 - observed / expected, each a mean squared distance between decision and label: of
the images as they are, and of labels and decisions shuffled against each other. Both follow from sums over images:

    observed = mean((d - t)^2),   expected = mean(d^2) + mean(t^2) - 2 mean(d) mean(t)
"""

from __future__ import annotations

import numpy as np

from robustdx.metrics.answers import Answers
from robustdx.metrics.intervals import NOTHING, Limits, Resamples, Statistic, divide, exact_share

NAMES = ("kappa", "grade_error")


def grade_metrics(answers: Answers, resamples: Resamples) -> dict[str, Statistic]:
    """kappa and grade_error: the mean number of grades between decision and label."""
    t, d = answers.truth.argmax(1).astype(float), answers.decided.argmax(1).astype(float)
    columns = {"n": np.ones(len(t)), "t": t, "d": d, "tt": t * t, "dd": d * d, "off": np.abs(t - d), "off2": (t - d) ** 2}
    totals = resamples.totals(columns)
    patients = int(totals["n"].patients[0])
    m = {name: divide(total.values[:, 0], totals["n"].values[:, 0]) for name, total in totals.items()}
    expected = m["tt"] + m["dd"] - 2 * m["t"] * m["d"]
    expected[np.abs(expected) < 1e-9] = 0  # what rounding leaves of nothing
    kappa = 1 - divide(m["off2"], expected)
    farthest = len(answers.classes) - 1
    return {
        "kappa": Statistic(kappa, _through(m["off2"][0], expected[0], farthest**2, patients), "labels and decisions are all one grade"),
        "grade_error": Statistic(m["off"], _bounded(m["off"][0], farthest, patients), "no image"),
    }


def _bounded(value: float, most: float, patients: int) -> Limits:
    """Limits of a mean of values from 0 to `most`, as if it were a share of it."""
    low, high = exact_share(value / most, patients)
    return low * most, high * most


def _through(observed: float, expected: float, most: float, patients: int) -> Limits:
    """Limits of kappa from those of the observed distance."""
    if not expected:
        return NOTHING
    low, high = _bounded(observed, most, patients)
    return max(-1.0, 1 - high / expected), 1 - low / expected
