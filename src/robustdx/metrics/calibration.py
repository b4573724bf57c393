"""Whether a probability can be believed: of decisions held to be 90 % sure, are 90 % right? No torch.

One of several classes: the confidence of an image is the probability of what was decided. Several findings: each annotated decision
counts, with the probability that it is right, p or 1 - p. ECE = sum over bins of (share of decisions in the bin) times |share right -
mean confidence|, in bins of equal width (Guo et al. 2017, section 2, equation 3). It depends on the bins: say how many.

An attack that is sure of its wrong answer shows here and not in the accuracy: `mean_confidence` stays while `accuracy` falls, and
`overconfidence`, the one less the other, says by how much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from robustdx.metrics.answers import Answers, Flags, Floats
from robustdx.metrics.intervals import NOTHING, Resamples, Statistic, Total, divide, exact_share, share

BINS = 15
"""As in Guo et al. 2017."""
NAMES = ("ece", "mean_confidence", "overconfidence", "brier")
NO_SCORES = "scores that are missing or not finite"


@dataclass(frozen=True)
class Bin:
    """The decisions of about the same confidence: one point of a reliability curve, which is drawn beside the diagonal."""

    low: float
    high: float
    """Confidences above `low`, up to `high`."""
    decisions: int
    confidence: float
    """Their mean confidence."""
    right: Statistic
    """The share of them that is right."""


def calibration_metrics(answers: Answers, resamples: Resamples, bins: int = BINS) -> dict[str, Statistic]:
    """ece, mean_confidence, overconfidence and brier, each over images or, for findings, over annotated decisions.

    brier: the mean squared distance of the probabilities from the truth: (p - y)^2 of the positive class for binary and of each finding,
    and summed over the classes for several, so that it goes up to 2 there.
    """
    columns = _columns(answers, bins)
    if columns is None:
        return dict.fromkeys(NAMES, Statistic(np.full(len(resamples.counts), np.nan), NOTHING, NO_SCORES))
    totals = resamples.totals(columns)
    whole, confident, right = (totals[name].values for name in ("decisions", "confident", "right"))
    patients, nothing = int(totals["decisions"].patients[0]), "no annotated label"

    def of(sums: Floats, most: float = 1.0) -> Statistic:
        values = divide(sums, whole[:, 0])
        low, high = exact_share(float(values[0]) / most, patients)
        return Statistic(values, (low * most, high * most), nothing)

    accuracy, held = of(right.sum(1)), of(confident.sum(1))
    bounds = held.value - accuracy.exact[1], held.value - accuracy.exact[0]
    return {
        "ece": _centred(of(np.abs(right - confident).sum(1))),
        "mean_confidence": held,
        "overconfidence": Statistic(held.values - accuracy.values, bounds, nothing),
        "brier": of(totals["brier"].values[:, 0], most=2.0 if _several(answers) else 1.0),
    }


def _centred(ece: Statistic) -> Statistic:
    """A resample holds images twice, which by itself raises the ECE: without moving the resamples back, their interval may lie above the
    value. The value itself is raised in the same way where images are few (Kumar et al. 2019)."""
    raised = np.nanmean(ece.values[1:]) - ece.value if ece.defined and len(ece.values) > 1 else 0.0
    return replace(ece, values=np.concatenate([ece.values[:1], np.maximum(ece.values[1:] - raised, 0)]))


def reliability(answers: Answers, resamples: Resamples, bins: int = BINS) -> list[Bin]:
    """The reliability curve: how often decisions of each confidence are right, with intervals; bins without decisions are left out."""
    columns = _columns(answers, bins)
    if columns is None:
        return []
    totals, edges = resamples.totals(columns), np.linspace(0, 1, bins + 1)
    return [_bin(totals, edges, b) for b in range(bins) if totals["counted"].values[0, b] > 0]


def _bin(totals: dict[str, Total], edges: Floats, b: int) -> Bin:
    counted = totals["counted"][b]
    n = float(counted.values[0, 0])
    return Bin(
        low=float(edges[b]),
        high=float(edges[b + 1]),
        decisions=round(n),
        confidence=float(totals["confident"].values[0, b] / n),
        right=share(totals["right"][b], counted),
    )


def _columns(answers: Answers, bins: int) -> dict[str, NDArray] | None:
    """What has to be counted for each image: (N, bins) decisions, confidence and right ones by bin, and (N,) squared errors."""
    if answers.scores is None or not np.isfinite(answers.scores).all():
        return None
    confidence, right, asked = _decisions(answers, answers.scores)
    inside = _binned(confidence, bins) & asked[:, :, None]
    return {
        "counted": inside.sum(1),
        "confident": (inside * confidence[:, :, None]).sum(1),
        "right": (inside & right[:, :, None]).sum(1),
        "decisions": asked.sum(1),
        "brier": _squares(answers, answers.scores),
    }


def _decisions(answers: Answers, scores: Floats) -> tuple[Floats, Flags, Flags]:
    """(N, D) confidence, whether right, and whether asked: one decision for each image, or one for each finding."""
    agree = answers.decided == (answers.truth == 1)
    if answers.exclusive:
        confidence = np.where(answers.decided, scores, 0).sum(1, keepdims=True)
        return confidence, np.asarray(agree.all(1, keepdims=True)), np.asarray(answers.annotated.any(1, keepdims=True))
    return np.where(answers.decided, scores, 1 - scores), agree, answers.annotated


def _binned(confidence: Floats, bins: int) -> Flags:
    """(N, D, bins): the bin of each decision; a bin holds its upper edge, and the first one 0 too."""
    at = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    return at[:, :, None] == np.arange(bins)


def _squares(answers: Answers, scores: Floats) -> Floats:
    """(N,): an image's squared distance of the probabilities from the truth."""
    squares = np.where(answers.annotated, np.square(scores - np.nan_to_num(answers.truth)), 0.0)
    return squares[:, 1] if answers.kind == "binary" else squares.sum(1)


def _several(answers: Answers) -> bool:
    return answers.exclusive and answers.kind != "binary"
