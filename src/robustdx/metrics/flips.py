"""How often a decision flips while an image changes a little: flip probability, and what belongs beside it. No torch.

With n frames of each of m images (Hendrycks and Dietterich 2019, section 4.2):

    FP = 1/m sum_i 1/(n - 1) sum_{j = 2..n} [ f(x_i^j) != f(x_i^(j-1)) ]

and for noise, whose frames have no order, each is compared with the first, the clean one. Several findings: the mean over them too.
At stride d a frame is compared with the one d before it; noise has no strides. Frames that were not asked about do not exist here:
decisions are (N, n, D), a class index in a D of 1 or a 0 or 1 for each of D findings, and every function gives values per image, so
that intervals and paired tests are over patients.

A model that always says the same never flips. Flip probability therefore stands beside the accuracy over the same frames, and is
taken again over images that are decided rightly before anything changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustdx.errors import DataError
from robustdx.metrics.answers import Answers, Floats
from robustdx.metrics.intervals import Resamples, Statistic, mean, share

Compared = Literal["previous", "first"]
NAMES = ("flip_probability", "flip_probability_right", "confidence_jitter", "frame_accuracy", "flip_released")
"""The numbers of one sequence; at stride d `flip_probability@d`, of a finding `flip_probability:NAME`."""


@dataclass(frozen=True)
class Seen:
    """What a model said about every frame of a sequence."""

    decided: NDArray[np.int64]
    """(N, n, D): a class index, or 0 and 1 for each of D findings."""
    compared: Compared
    """Whether a frame is compared with the one before it or with the first."""
    scores: Floats | None = None
    """(N, n, K) probabilities of the classes or findings."""

    def __post_init__(self) -> None:
        shape = np.shape(self.decided)
        if len(shape) != 3:
            raise DataError(f"expected decisions (images, frames, 1 or findings), got the shape {shape}")
        if shape[1] < 2:
            raise DataError(f"expected at least 2 frames, got {shape[1]}: with one there is nothing to compare")
        if self.scores is not None and np.shape(self.scores)[:2] != shape[:2]:
            raise DataError(f"expected scores for {shape[0]} images and {shape[1]} frames, got the shape {np.shape(self.scores)}")


def flips(decided: ArrayLike, compared: Compared, stride: int = 1) -> Floats:
    """The share of compared frames on which the decision differs, (N, D): flip probability of each image and finding.

    >>> flips([[[0], [0], [1], [0]]], "previous").tolist(), flips([[[0], [0], [1], [0]]], "first").round(2).tolist()
    ([[0.6666666666666666]], [[0.33]])
    """
    before, after = _pairs(np.asarray(decided), compared, stride)
    return (before != after).mean(1)


def flip_probability(decided: ArrayLike, compared: Compared, stride: int = 1) -> Floats:
    """Flip probability of each image, (N,): for findings, their mean."""
    return flips(decided, compared, stride).mean(1)


def released(decided: ArrayLike) -> Floats:
    """The multi-label figure of Xu et al.'s released code, of each image, (N,): from 0 to n - 1.

    Every frame is compared with the first, whatever the sequence, and the flips are divided by the findings but not by the frames.
    """
    all_ = np.asarray(decided)
    return (all_.shape[1] - 1) * flip_probability(all_, "first")


def jitter(decided: ArrayLike, scores: ArrayLike, compared: Compared, stride: int = 1) -> Floats:
    """How far the confidence moves between compared frames, (N,): mean |change| of the score of the first frame's class.

    For findings, of each finding's own score, and the mean over findings.
    """
    all_, given = np.asarray(decided), np.asarray(scores, dtype=np.float64)
    if all_.shape[2] == 1 and given.shape[2] > 1:
        given = np.take_along_axis(given, all_[:, :1].astype(np.intp), axis=2)
    before, after = _pairs(given, compared, stride)
    return np.abs(after - before).mean((1, 2))


def flip_metrics(seen: Seen, resamples: Resamples, *, clean: Answers | None = None, strides: Sequence[int] = (1,)) -> dict[str, Statistic]:
    """All numbers of one sequence, with what the resamples say: those of `NAMES` that can be told.

    `clean` is the truth and what was decided on the images as they came; without it there is no frame_accuracy and nothing is
    taken over the images that were right.
    """
    n, each = len(seen.decided), flips(seen.decided, seen.compared)
    found = {"flip_probability": _mean_of(each.mean(1), np.ones(n), resamples)}
    for d in strides:
        if d > 1 and seen.compared == "previous" and d < seen.decided.shape[1]:
            found[f"flip_probability@{d}"] = _mean_of(flip_probability(seen.decided, "previous", d), np.ones(n), resamples)
    if clean is not None:
        found |= _beside_the_truth(seen, each, clean, resamples)
    if seen.scores is not None:
        found["confidence_jitter"] = _mean_of(jitter(seen.decided, seen.scores, seen.compared), np.ones(n), resamples)
    if each.shape[1] > 1:
        found["flip_released"] = _released(seen, resamples)
        names = clean.classes if clean is not None else [str(k) for k in range(each.shape[1])]
        found |= {f"flip_probability:{name}": _mean_of(each[:, k], np.ones(n), resamples) for k, name in enumerate(names)}
    return found


def mean_flip_probability(sequences: Mapping[str, Statistic]) -> Statistic:
    """The mean over the sequences of a preset, resample by resample: all of them on the same drawn patients."""
    return mean(list(sequences.values()), "no sequence was measured")


def says_one_thing(decided: ArrayLike) -> bool:
    """Whether a model decides the same on every frame of every image: then it cannot flip, and that says nothing for it."""
    all_ = np.asarray(decided)
    return bool(all_.size) and bool((all_ == all_[:1, :1]).all())


def frame_rights(decided: ArrayLike, clean: Answers) -> tuple[Floats, Floats]:
    """How many decisions over all frames of each image are right, and how many could be: both (N,)."""
    all_ = np.asarray(decided)
    if clean.exclusive:
        right = np.take_along_axis(clean.truth[:, None], all_.astype(np.intp), axis=2)[:, :, 0] == 1
        asked = clean.annotated.any(1).astype(np.float64)
        return asked * right.sum(1), asked * all_.shape[1]
    right = ((all_ == 1) == (clean.truth == 1)[:, None]) & clean.annotated[:, None]
    return right.sum((1, 2)).astype(np.float64), clean.annotated.sum(1).astype(np.float64) * all_.shape[1]


def initially_right(clean: Answers) -> NDArray[np.bool_]:
    """Which decisions were right on the images as they came: (N, 1), or (N, D) for findings; what is not annotated is not."""
    right = (clean.decided == (clean.truth == 1)) & clean.annotated
    return right.all(1, keepdims=True) if clean.exclusive else right


def _beside_the_truth(seen: Seen, each: Floats, clean: Answers, resamples: Resamples) -> dict[str, Statistic]:
    right = initially_right(clean)
    rights, asked = frame_rights(seen.decided, clean)
    totals = resamples.totals({"right": rights, "asked": asked})
    return {
        "flip_probability_right": _mean_of((each * right).sum(1), right.sum(1), resamples, "nothing was right before anything changed"),
        "frame_accuracy": share(totals["right"], totals["asked"], "no annotated label"),
    }


def _released(seen: Seen, resamples: Resamples) -> Statistic:
    """Not a share, but one times n - 1."""
    frames = seen.decided.shape[1] - 1
    own = _mean_of(flip_probability(seen.decided, "first"), np.ones(len(seen.decided)), resamples)
    return replace(own, values=own.values * frames, exact=(own.exact[0] * frames, own.exact[1] * frames))


def _mean_of(values: Floats, weights: ArrayLike, resamples: Resamples, undefined: str = "no image") -> Statistic:
    """Summed values over summed weights."""
    totals = resamples.totals({"values": values, "weights": weights})
    return share(totals["values"], totals["weights"], undefined)


def _pairs(all_: NDArray, compared: Compared, stride: int) -> tuple[NDArray, NDArray]:
    """The two sides of every comparison, (N, pairs, ...)."""
    if all_.ndim != 3 or all_.shape[1] < 2:
        raise DataError(f"expected (images, frames, 1 or findings) with at least 2 frames, got the shape {all_.shape}")
    if compared == "first":
        return all_[:, :1], all_[:, 1:]
    if not 1 <= stride < all_.shape[1]:
        raise DataError(f"expected a stride from 1 to {all_.shape[1] - 1} for {all_.shape[1]} frames, got {stride}")
    return all_[:, :-stride], all_[:, stride:]
