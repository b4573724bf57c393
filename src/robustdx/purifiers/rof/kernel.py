"""Chambolle's dual projection in numba, forward and back: a channel stays in the cache for all its steps.

Importing this imports numba; each function is compiled when first called. A group is what one gradient length couples: one channel, or
all channels of an image. Arrays: f and u (N, G, H, W) for N groups of G channels, p (N, 2, G, H, W); all contiguous, of one precision.

Steps run as a wave: while step t works on row i, step t + 1 works on row i - 1, so that a row is used DEPTH times while it is near.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

DEPTH = 4
_RELAXED = {"contract", "arcp", "afn", "nsz"}
"""Freedoms of floating-point arithmetic that the compiler may take; not that of supposing that no value is NaN."""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile when called; kept on disk where numba finds a place to write, else made anew in each process."""
    settings = {"nogil": True, "fastmath": _RELAXED, "error_model": "numpy"}
    try:
        return njit(cache=True, **settings)(function)
    except (RuntimeError, OSError):
        return njit(**settings)(function)


@compiled
def top_row(f, down, right, row):  # type: ignore[no-untyped-def]
    """The first row of the image f + p; one more column repeats the last, so that no slope leads out."""
    width = f.shape[0]
    row[0] = f[0] - down[0] - right[0]
    for j in range(1, width):
        row[j] = f[j] - down[j] - right[j] + right[j - 1]
    row[width] = row[width - 1]


@compiled
def next_row(f, above, down, right, row):  # type: ignore[no-untyped-def]
    """Any other row; `above` is the dual variable of the row before it."""
    width = f.shape[0]
    row[0] = f[0] - down[0] - right[0] + above[0]
    for j in range(1, width):
        row[j] = f[j] - down[j] - right[j] + right[j - 1] + above[j]
    row[width] = row[width - 1]


@compiled
def copy_row(source, target):  # type: ignore[no-untyped-def]
    for j in range(target.shape[0]):
        target[j] = source[j]


@compiled
def clear_row(row):  # type: ignore[no-untyped-def]
    for j in range(row.shape[0]):
        row[j] = 0


@compiled
def rows_below(f, p, i, now, below):  # type: ignore[no-untyped-def]
    """Row i + 1 of every channel of a group; below the last row there is the last again."""
    for k in range(f.shape[0]):
        if i + 1 < f.shape[1]:
            next_row(f[k, i + 1], p[0, k, i], p[0, k, i + 1], p[1, k, i + 1], below[k])
        else:
            copy_row(now[k], below[k])


@compiled
def add_squares(now, below, squares):  # type: ignore[no-untyped-def]
    for j in range(squares.shape[0]):
        down, right = below[j] - now[j], now[j + 1] - now[j]
        squares[j] += down * down + right * right


@compiled
def update_one(now, below, down, right, tau, pull, one):  # type: ignore[no-untyped-def]
    """A dual step on a row of a channel that is alone in its group."""
    for j in range(down.shape[0]):
        g0, g1 = below[j] - now[j], now[j + 1] - now[j]
        s = one / (one + pull * np.sqrt(g0 * g0 + g1 * g1))
        down[j] = (down[j] - tau * g0) * s
        right[j] = (right[j] - tau * g1) * s


@compiled
def update_scaled(now, below, down, right, shrunk, tau):  # type: ignore[no-untyped-def]
    """A dual step on a row of a channel, shortened as the group is."""
    for j in range(down.shape[0]):
        down[j] = (down[j] - tau * (below[j] - now[j])) * shrunk[j]
        right[j] = (right[j] - tau * (now[j + 1] - now[j])) * shrunk[j]


@compiled
def update(f, p, i, now, below, squares, tau, pull, one):  # type: ignore[no-untyped-def]
    """A dual step on row i of every channel of a group."""
    if f.shape[0] == 1:
        update_one(now[0], below[0], p[0, 0, i], p[1, 0, i], tau, pull, one)
        return
    clear_row(squares)
    for k in range(f.shape[0]):
        add_squares(now[k], below[k], squares)
    for j in range(squares.shape[0]):
        squares[j] = one / (one + pull * np.sqrt(squares[j]))
    for k in range(f.shape[0]):
        update_scaled(now[k], below[k], p[0, k, i], p[1, k, i], squares, tau)


@compiled
def advance(f, p, steps, tau, pull, one):  # type: ignore[no-untyped-def]
    """So many dual steps on one group, in place."""
    group, height, width = f.shape
    rows = np.empty((2, DEPTH, group, width + 1), f.dtype)
    squares = np.empty(width, f.dtype)
    for done in range(0, steps, DEPTH):
        depth = min(DEPTH, steps - done)
        for front in range(height + depth - 1):
            for t in range(max(0, front - height + 1), min(depth, front + 1)):
                i = front - t
                now, below = rows[i % 2, t], rows[1 - i % 2, t]
                if i == 0:
                    for k in range(group):
                        top_row(f[k, 0], p[0, k, 0], p[1, k, 0], now[k])
                rows_below(f, p, i, now, below)
                update(f, p, i, now, below, squares, tau, pull, one)


@compiled
def finish(f, p, u):  # type: ignore[no-untyped-def]
    """The image that belongs to the dual variable of one group."""
    group, height, width = f.shape
    row = np.empty(width + 1, f.dtype)
    for k in range(group):
        for i in range(height):
            if i == 0:
                top_row(f[k, 0], p[0, k, 0], p[1, k, 0], row)
            else:
                next_row(f[k, i], p[0, k, i - 1], p[0, k, i], p[1, k, i], row)
            copy_row(row, u[k, i])


@compiled
def solve(f, p, u, steps, tau, pull, one):  # type: ignore[no-untyped-def]
    """Denoise every group. p has a state for each, to be kept, or a single one that all use in turn."""
    for n in range(f.shape[0]):
        state = p[n % p.shape[0]]
        clear_row(state.ravel())
        advance(f[n], state, steps, tau, pull, one)
        finish(f[n], state, u[n])
