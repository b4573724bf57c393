"""Two sets of answers on the same images: is the difference more than chance? No torch.

McNemar's exact test takes images as independent. Where patients have several images, `permutation_test` swaps the two answers
for whole patients. A family of such questions is corrected by `holm`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr

from robustdx.errors import DataError
from robustdx.metrics.answers import Floats

ALL_SIGNS = 14
"""Up to so many patients, every one of the 2^G ways to swap is taken, and the p-value is exact."""

BLOCK = 4_000_000
"""How many signs are drawn at once."""


@dataclass(frozen=True)
class Paired:
    """What a paired test says."""

    difference: float
    """Mean of the first less mean of the second, over images."""
    p: float
    """Two-sided: the chance of a difference at least as large if the two were the same."""
    decisive: int
    """How many images (McNemar) or patients (permutation) tell the two apart; the others say nothing."""


def mcnemar(first: ArrayLike, second: ArrayLike) -> Paired:
    """McNemar's test, exact, of yes-or-no values such as right or wrong (McNemar 1947).

    Of the n images on which the two differ, each is as likely to be won by either: p = 2 P(X <= fewer), X ~ Binomial(n, 1/2).

    >>> mcnemar([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 1])
    Paired(difference=0.5, p=0.375, decisive=5)
    """
    a, b = _paired(first, second)
    if not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise DataError("McNemar's test takes values 0 and 1 (right or not), got others: take permutation_test")
    won, lost = int((a > b).sum()), int((b > a).sum())
    p = min(1.0, 2 * float(bdtr(min(won, lost), won + lost, 0.5))) if won + lost else 1.0
    return Paired(float((a - b).mean()), p, won + lost)


def permutation_test(
    first: ArrayLike, second: ArrayLike, patients: Sequence[object] | None = None, *, resamples: int = 10_000, seed: int = 0
) -> Paired:
    """A permutation test of the difference of two means, over patients (Fisher 1935; Good 2005, section 3).

    If the two were the same, each patient's two sets of values could be swapped: the sign of the patient's summed difference
    is then a coin's. p is the share of coin throws whose difference is at least as large as the one seen, the seen one among
    them. Up to 14 decisive patients all throws are taken. `patients` names the patient of each image; left out, each image is its own.
    """
    a, b = _paired(first, second)
    if patients is not None and len(patients) != len(a):
        raise DataError(f"expected one patient for each of {len(a)} images, got {len(patients)}")
    _, groups = np.unique(np.arange(len(a)) if patients is None else np.asarray(list(map(str, patients))), return_inverse=True)
    sums = np.bincount(groups, weights=a - b)
    sums = sums[sums != 0]
    return Paired(float((a - b).mean()), _share_as_far(sums, resamples, np.random.default_rng(seed)), len(sums))


def holm(p_values: ArrayLike) -> Floats:
    """p-values of a family of tests, corrected so that the chance of any false finding stays below the level (Holm 1979).

    The smallest of m is multiplied by m, the next by m - 1, and so on; none falls below one before it, none exceeds 1.

    >>> holm([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise DataError(f"expected a list of p-values in [0, 1], got {p_values!r}")
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected


def _share_as_far(sums: Floats, resamples: int, draws: np.random.Generator) -> float:
    """The share of signs under which the sum lies at least as far from 0 as it does. Sums that differ by rounding are one."""
    if not len(sums):
        return 1.0
    enough = abs(sums.sum()) * (1 - 1e-9) - 1e-12
    if len(sums) <= ALL_SIGNS:
        signs = 1 - 2 * ((np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))) & 1)
        return float((np.abs(signs @ sums) >= enough).mean())
    found, step = 0, max(1, BLOCK // len(sums))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        found += int((np.abs(_signs(draws, rows, len(sums)) @ sums) >= enough).sum())
    return (found + 1) / (resamples + 1)


def _signs(draws: np.random.Generator, rows: int, columns: int) -> Floats:
    return 2 * draws.integers(0, 2, (rows, columns)).astype(np.float64) - 1


def _paired(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise DataError(f"expected one value for each image in both, got shapes {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise DataError("expected a number for each image in both, got NaN or infinity: leave out images without one")
    return a, b
