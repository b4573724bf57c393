"""What a black-box attack costs: the share of images broken within so many queries. No torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def query_curve(queries: ArrayLike, broken: ArrayLike, budgets: ArrayLike) -> NDArray[np.float64]:
    """The share of all images that are broken within each budget.

    queries: (N,) passes that each image took; with early stop, those until it was broken. broken: (N,) whether it was.
    An image that was wrong before the attack is broken within 0 queries: give it 0.

    >>> query_curve([10, 40, 100, 100], [True, True, True, False], [0, 10, 99, 100]).tolist()
    [0.0, 0.25, 0.5, 0.75]
    """
    took, fell = np.asarray(queries), np.asarray(broken, dtype=bool)
    if took.shape != fell.shape or took.ndim != 1:
        raise ValueError(f"expected one number of queries and one verdict for each image, got shapes {took.shape} and {fell.shape}")
    if not len(took):
        return np.full(np.asarray(budgets).shape, np.nan)
    return np.searchsorted(np.sort(took[fell]), np.asarray(budgets), side="right") / len(took)
