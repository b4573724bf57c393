"""How well a detector tells attacked images from clean ones, at an alarm threshold that clean validation images fixed. No torch.

A threshold that is chosen on the images it is judged on flatters the detector. So it is fixed on clean validation images, where it may
raise an alarm on at most 5 %; what it does raise on the clean images that are judged is reported beside it. An alarm is raised above the
threshold, not at it.
"""

from __future__ import annotations

from math import floor

import numpy as np
from numpy.typing import ArrayLike

from robustdx.errors import DataError
from robustdx.metrics.answers import Flags
from robustdx.metrics.intervals import Resamples, Statistic, share
from robustdx.metrics.ranking import rank

FALSE_ALARMS = 0.05
NAMES = ("auroc", "detected", "false_alarms", "broken", "broken_unnoticed")


def alarm_threshold(clean: ArrayLike, false_alarms: float = FALSE_ALARMS) -> float:
    """The lowest score above which at most this share of the clean images lies.

    Raises:
        DataError: no images, or scores that are not numbers.
    """
    scores = np.sort(np.asarray(clean, dtype=np.float64))
    if not len(scores):
        raise DataError("an alarm threshold is fixed on clean validation images, got none: give data with a validation split")
    if not np.isfinite(scores).all():
        raise DataError("an alarm threshold needs finite scores, got NaN or infinity on a clean validation image: take another detector")
    return float(scores[len(scores) - 1 - floor(false_alarms * len(scores) + 1e-9)])


def alarm_metrics(
    clean: ArrayLike, attacked: ArrayLike, right: Flags, wrong: Flags, threshold: float, resamples: Resamples
) -> dict[str, Statistic]:
    """Every number of one detector under one attack, from the scores (N,) of the same N images before and after.

    `right` says which images were right at first, `wrong` which of all are wrong under the attack: those that were right and are wrong
    are broken, and only they ask a detector for anything.

        broken            of the images that were right, those that are broken
        broken_unnoticed  of the images that were right, those that are broken and raise no alarm: what the adversary is after
        detected          of the broken images, those that raise an alarm
        false_alarms      of all clean images, those that raise one
        auroc             of clean images that were right against broken ones
    """
    before, after = np.asarray(clean, dtype=np.float64), np.asarray(attacked, dtype=np.float64)
    broken, alarm = right & wrong, ~(after <= threshold)
    totals = resamples.totals(
        {
            "all": np.ones(len(before)),
            "false": ~(before <= threshold),
            "right": right,
            "broken": broken,
            "caught": broken & alarm,
            "missed": broken & ~alarm,
        }
    )
    images = np.concatenate((np.flatnonzero(right), np.flatnonzero(broken)))
    scores, positive = np.concatenate((before[right], after[broken])), np.arange(len(images)) >= right.sum()
    none = "the attack broke no image"
    return {
        "auroc": rank(scores, positive, images, resamples, none)[0],
        "detected": share(totals["caught"], totals["broken"], none),
        "false_alarms": share(totals["false"], totals["all"]),
        "broken": share(totals["broken"], totals["right"], "nothing was right before the attack"),
        "broken_unnoticed": share(totals["missed"], totals["right"], "nothing was right before the attack"),
    }
