"""What votes under Gaussian noise prove (randomised smoothing: Cohen, Rosenfeld and Kolter 2019, arXiv 1902.02918). No torch.

Counts of votes have the shape (..., C): how many noisy copies of an image the classifier puts in each of C classes. Everything is
of one decision; where an image has several (findings), each of them is a problem of two classes with a certificate of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincinv, ndtri

from robustdx.errors import PlanError
from robustdx.metrics.answers import Floats
from robustdx.metrics.intervals import Resamples, Statistic, share

ABSTAIN = -1
"""The decision of a vote that is too close to call."""

Decisions = NDArray[np.intp]


@dataclass(frozen=True)
class Certificate:
    """What holds with probability 1 - alpha for each decision, over the draws of the noise."""

    decisions: Decisions
    """(...): the class, or ABSTAIN."""
    radii: Floats
    """(...): no change of the image with an L2 norm below this turns the vote; 0 where it abstains."""
    lower: Floats
    """(...): the bound on the share of votes for the class that was selected, known with probability 1 - alpha."""


def certify(selected: ArrayLike, estimated: ArrayLike, sigma: float, alpha: float) -> Certificate:
    """The class that leads among a few draws, and a radius from the bound on its share among others (CERTIFY, section 3.2.2).

    selected, estimated: (..., C) votes of independent draws. The class is chosen from the first alone, so that the bound on its share
    in the second holds as it is; in the same draws, the winner's share would be too high.
    """
    selected, estimated = np.asarray(selected), np.asarray(estimated)
    leading = selected.argmax(-1)
    hits = np.take_along_axis(estimated, leading[..., None], -1)[..., 0]
    lower = lower_bound(hits, estimated.sum(-1), alpha)
    certain = lower > 0.5
    return Certificate(np.where(certain, leading, ABSTAIN), np.where(certain, radius(lower, sigma), 0.0), lower)


def predict(votes: ArrayLike, alpha: float) -> Decisions:
    """The class that leads, where that is no accident, else ABSTAIN (PREDICT, section 3.2.1).

    Two-sided binomial test of the two classes with most votes against a fair coin; wrong with probability at most alpha.
    """
    ordered = np.sort(np.asarray(votes), axis=-1)
    first, second = ordered[..., -1], ordered[..., -2]
    p = np.minimum(1.0, 2 * betainc(np.maximum(first, 1), second + 1, 0.5))
    return np.where(p <= alpha, np.asarray(votes).argmax(-1), ABSTAIN)


def lower_bound(hits: ArrayLike, draws: ArrayLike, alpha: float) -> Floats:
    """The exact one-sided bound of a share at confidence 1 - alpha (Clopper and Pearson 1934): 0 hits give 0."""
    require_alpha(alpha)
    hits, draws = np.broadcast_arrays(np.asarray(hits, dtype=np.float64), np.asarray(draws, dtype=np.float64))
    return np.where(hits > 0, betaincinv(np.maximum(hits, 1), draws - hits + 1, alpha), 0.0)


def radius(share_of_votes: ArrayLike, sigma: float) -> Floats:
    """sigma * Phi^-1(p): how far the image may move while a class with the share p keeps the vote (theorem 1, p_B = 1 - p_A)."""
    return sigma * ndtri(np.asarray(share_of_votes, dtype=np.float64))


def largest_radius(draws: int, sigma: float, alpha: float) -> float:
    """What an image is certified to on which all draws agree; 0 where so few draws can prove nothing."""
    return max(0.0, float(radius(lower_bound(draws, draws, alpha), sigma)))


def certified_accuracy(
    certificate: Certificate, labels: ArrayLike, radii: Sequence[float], resamples: Resamples
) -> tuple[list[Statistic], Statistic]:
    """The share of decisions that are right and certified beyond each radius, and the mean radius of the right ones, wrong ones as 0.

    labels: (N, D), NaN where a finding was not annotated. Abstaining is never right. Intervals by patient; the mean radius (Zhai et
    al. 2020, "average certified radius") has no exact limits where no resample differs.
    """
    labels = np.asarray(labels, dtype=np.float64)
    annotated, right = ~np.isnan(labels), certificate.decisions == labels
    held = right[..., None] & (certificate.radii[..., None] > np.asarray(radii))
    totals = resamples.totals({"held": held.sum(1), "all": annotated.sum(1), "length": np.where(right, certificate.radii, 0).sum(1)})
    curve = [share(totals["held"][k], totals["all"], "no annotated label") for k in range(len(radii))]
    length = share(totals["length"], totals["all"], "no annotated label")
    return curve, Statistic(length.values, undefined=length.undefined)


def share_of(flags: ArrayLike, labels: ArrayLike, resamples: Resamples) -> Statistic:
    """The share of annotated decisions for which something is so; flags and labels are (N, D)."""
    annotated = ~np.isnan(np.asarray(labels, dtype=np.float64))
    totals = resamples.totals({"so": (np.asarray(flags) & annotated).sum(1), "all": annotated.sum(1)})
    return share(totals["so"], totals["all"], "no annotated label")


def require_alpha(alpha: float) -> None:
    """Refuse what is no probability of being wrong."""
    if not 0 < alpha < 1:
        raise PlanError(f"alpha must lie between 0 and 1, got {alpha:g}: it is the probability with which a certificate may be wrong")
