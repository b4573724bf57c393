"""What an attack changed, image by image, and what the worst of several attacks leaves standing. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustdx.metrics.answers import Answers
from robustdx.metrics.intervals import Resamples, Statistic, share

NAMES = ("fooling_rate", "broken")


def change_metrics(clean: Answers, attacked: Sequence[Answers], resamples: Resamples) -> dict[str, Statistic]:
    """fooling_rate and broken, over images or, for findings, over annotated decisions.

    fooling_rate is the share of decisions that an attack changed, whatever the truth (for findings 1 - label agreement);
    broken the share of those right at first that an attack made wrong. Several attacks: that any of them did.
    """
    changed = np.any([a.decided != clean.decided for a in attacked], axis=0) & clean.annotated
    right = (clean.decided == (clean.truth == 1)) & clean.annotated
    if clean.exclusive:
        changed, right, asked = changed.any(1), right.all(1), np.ones(len(right), bool)
        totals = resamples.totals({"changed": changed, "right": right, "broken": changed & right, "asked": asked})
    else:
        columns = {"changed": changed, "right": right, "broken": changed & right, "asked": clean.annotated}
        totals = resamples.totals({name: column.sum(1) for name, column in columns.items()})
    return {
        "fooling_rate": share(totals["changed"], totals["asked"], "no annotated label"),
        "broken": share(totals["broken"], totals["right"], "nothing was right before the attack"),
    }


def goal_metrics(reached: ArrayLike, resamples: Resamples) -> dict[str, Statistic]:
    """goal_reached: the share of images on which the adversary's goal is reached, of those it can be asked of (not NaN)."""
    values = np.asarray(reached, dtype=np.float64)
    totals = resamples.totals({"reached": values == 1, "asked": ~np.isnan(values)})
    return {"goal_reached": share(totals["reached"], totals["asked"], "the goal can be asked of no image")}


def worst_decisions(labels: ArrayLike, clean: ArrayLike, attacked: Sequence[ArrayLike]) -> NDArray[np.int64]:
    """The decision on each image (or finding) that is wrong if any is: the clean one first, then the attacks in order.

    All (N, C) as records hold them; an image counts as robust only if it was right and every attack failed.
    """
    truth = np.asarray(labels, dtype=np.float64)
    worst = np.where(np.isnan(truth), 0, truth).astype(np.int64)
    # From the last to the first, so that the first to be wrong is what stays. NaN differs from everything: the clean decision stays.
    for decision in [np.asarray(d) for d in (clean, *attacked)][::-1]:
        worst = np.where(decision != truth, decision, worst)
    return worst
