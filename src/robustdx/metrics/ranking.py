"""How well the scores order the images: AUROC and average precision. No torch.

AUROC of a class is the chance that an image of it scores above one that is not of it, ties counting half; average
precision is the mean, over the images of the class, of the precision among all that score at least as high. Both come out
of one descending order and running totals of the weights, taken where the positive images stand.

auroc_macro and average_precision are means over the classes (one against the rest) or findings that can be ranked, for
binary the positive class's; auroc_micro pools all decisions before ranking them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robustdx.metrics.answers import Answers, Flags, Floats
from robustdx.metrics.intervals import NOTHING, Counts, Resamples, Statistic, divide, exact_share, mean

NAMES = ("auroc_macro", "auroc_micro", "average_precision")
PER_CLASS = ("auroc", "average_precision")


def ranking_metrics(answers: Answers, resamples: Resamples) -> dict[str, Statistic]:
    """Every metric of the order of the scores, by name; those of one class as NAME:CLASS."""
    assert answers.scores is not None
    pairs = {answers.classes[k]: _class(answers, k, resamples) for k in answers.asked}
    nothing = "no class has both images that are of it and images that are not"
    found = {
        "auroc_macro": mean([auroc for auroc, _ in pairs.values()], nothing),
        "auroc_micro": _micro(answers, resamples),
        "average_precision": mean([precision for _, precision in pairs.values()], nothing),
    }
    if answers.kind == "binary":
        return found
    return found | {f"{name}:{label}": pair[i] for i, name in enumerate(PER_CLASS) for label, pair in pairs.items()}


def rank(
    scores: Floats, positive: Flags, images: NDArray[np.intp], resamples: Resamples, undefined: str = ""
) -> tuple[Statistic, Statistic]:
    """AUROC and average precision of M scores; `images` says which image each of them is of."""
    n_positive, n_negative = resamples.patients(images[positive]), resamples.patients(images[~positive])
    if not n_positive or not n_negative or not np.isfinite(scores).all():
        blank = Statistic(np.full(len(resamples.counts), np.nan), NOTHING, undefined)
        return blank, blank
    order = np.argsort(-scores, kind="stable")
    area, precision = _areas(scores[order], positive[order], images[order], resamples)
    return (
        Statistic(area, exact_share(float(area[0]), min(n_positive, n_negative))),
        Statistic(precision, exact_share(float(precision[0]), n_positive)),
    )


def _areas(scores: Floats, positive: Flags, images: NDArray[np.intp], resamples: Resamples) -> tuple[Floats, Floats]:
    """Of scores in descending order. Running totals are looked up before and after the tie each positive stands in."""
    where, own = np.flatnonzero(positive), scores[positive]
    before, after = np.searchsorted(-scores, -own, "left"), np.searchsorted(-scores, -own, "right")
    before_own, after_own = np.searchsorted(-own, -own, "left"), np.searchsorted(-own, -own, "right")
    area, precision = np.empty(len(resamples.counts)), np.empty(len(resamples.counts))
    for rows, weights in resamples.blocks(images):
        w = weights.take(where, axis=1)
        everyone, positives = _running(weights), _running(w)
        reached, tied = everyone.take(after, axis=1), positives.take(after_own, axis=1)
        above, above_or_tied = everyone.take(before, axis=1) - positives.take(before_own, axis=1), reached - tied
        total, negatives = positives[:, -1], everyone[:, -1] - positives[:, -1]
        area[rows] = 1 - divide((w * (above + above_or_tied)).sum(1) / 2, total * negatives)
        # A positive that was not drawn has weight 0, and at the very top 0 / 0 for a precision: it counts for nothing.
        precision[rows] = divide((w * tied / np.where(reached == 0, 1, reached)).sum(1), total)
    return area, precision


def _running(weights: Counts) -> NDArray[np.int64]:
    """Running totals along the order, with a 0 in front: in whole numbers, exact and several times faster than floats."""
    total = np.zeros((len(weights), weights.shape[1] + 1), np.int64)
    total[:, 1:] = weights
    return np.cumsum(total, axis=1, out=total)


def _class(answers: Answers, k: int, resamples: Resamples) -> tuple[Statistic, Statistic]:
    assert answers.scores is not None
    images, name = np.flatnonzero(answers.annotated[:, k]), answers.classes[k]
    positive = answers.truth[images, k] == 1
    lacking = (
        f"no image of {name}" if not positive.any() else f"no image that is not {name}" if positive.all() else "scores that are not finite"
    )
    return rank(answers.scores[images, k], positive, images, resamples, lacking)


def _micro(answers: Answers, resamples: Resamples) -> Statistic:
    assert answers.scores is not None
    asked = list(answers.asked)
    images, columns = np.nonzero(answers.annotated[:, asked])
    truth, scores = answers.truth[:, asked][images, columns], answers.scores[:, asked][images, columns]
    return rank(scores, truth == 1, images, resamples, "all decisions have the same truth, or scores are not finite")[0]
