"""Pixels that are taken from near by, one after the other, in numba. Importing this imports numba; it compiles when first called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit


def taken_from(moves: Sequence[np.ndarray], reach: int) -> np.ndarray:
    """Where each pixel (H, W) comes from, as an index into the flattened image, after one round for each of `moves` (H, W, 2) in [0, 1)."""
    rows, columns = moves[0].shape[:2]
    source = np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)
    for move in moves:
        _round(source, move, reach)
    return source


@njit(nogil=True)
def _round(source, moves, reach):  # type: ignore[no-untyped-def]
    """One round, from the last pixel to the first: a pixel takes the source of another, -reach to reach - 1 rows and columns away."""
    rows, columns = source.shape
    for i in range(rows - reach, reach, -1):
        for j in range(columns - reach, reach, -1):
            down = int(moves[i, j, 0] * 2 * reach) - reach
            right = int(moves[i, j, 1] * 2 * reach) - reach
            source[i, j] = source[i + down, j + right]
