"""Sensitivity and specificity at thresholds that were fixed beforehand, on clean validation images. No torch.

A threshold that is chosen on the images it is judged on flatters the model, and one that moves with the attack is none
that a clinic could have set. So it is fixed once, where Youden's J = sensitivity + specificity - 1 is largest (Youden
1950), for each finding or, for several classes, for each class against the rest. An image is positive when its score is at
least the threshold; among equally good thresholds the highest is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robustdx.metrics.accuracy import recall, specificity, tally
from robustdx.metrics.answers import Answers, Flags, Floats
from robustdx.metrics.intervals import Resamples, Statistic, mean

DEFAULT = 0.5
NAMES = ("sensitivity", "specificity")


@dataclass(frozen=True)
class OperatingPoint:
    """One threshold for each class or finding."""

    thresholds: Floats
    """(K,)."""
    images: int
    """How many validation images fixed them; 0 where there were none, and all thresholds are 0.5."""
    defaults: tuple[str, ...] = ()
    """Classes whose threshold is 0.5 because validation had no image of them, or no other."""


def default_point(classes: int) -> OperatingPoint:
    """Thresholds of 0.5, where nothing was there to fix them on."""
    return OperatingPoint(np.full(classes, DEFAULT), 0)


def fix(validation: Answers) -> OperatingPoint:
    """Fix thresholds on clean validation images."""
    assert validation.scores is not None
    thresholds = np.full(len(validation.classes), DEFAULT)
    unknown = []
    for k in validation.asked:
        known = validation.annotated[:, k]
        best = youden(validation.scores[known, k], validation.truth[known, k] == 1)
        if best is None:
            unknown.append(validation.classes[k])
        else:
            thresholds[k] = best
    return OperatingPoint(thresholds, len(validation.truth), tuple(unknown))


def youden(scores: Floats, positive: Flags) -> float | None:
    """The score at or above which calling an image positive maximises Youden's J; None with one class only."""
    if positive.all() or not positive.any():
        return None
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], positive[order]
    last_of_tie = np.append(np.diff(scores) != 0, True)
    # J times both counts, in whole numbers: equally good thresholds are then really equal.
    gain = np.cumsum(positive) * (~positive).sum() - np.cumsum(~positive) * positive.sum()
    return float(scores[last_of_tie][np.argmax(gain[last_of_tie])])


def operating_metrics(answers: Answers, point: OperatingPoint, resamples: Resamples) -> dict[str, Statistic]:
    """Sensitivity and specificity: of the positive class, or the mean over classes or findings, and each as NAME:CLASS."""
    assert answers.scores is not None
    totals = resamples.totals(tally(replace(answers, decided=answers.scores >= point.thresholds)))
    each = {name: [of(totals, answers, k) for k in answers.asked] for name, of in zip(NAMES, (recall, specificity), strict=True)}
    found = {name: mean(values, values[0].undefined) for name, values in each.items()}
    if answers.kind == "binary":
        return found
    return found | {f"{name}:{label}": value for name, values in each.items() for label, value in zip(answers.classes, values, strict=True)}
