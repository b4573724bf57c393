"""Chambolle's dual projection in numba, the way forward: a channel stays in the cache for all its steps.

Importing this imports numba; each function is compiled when first called. A group is what one gradient length couples: one channel, or
all channels of an image. Images and both parts of the dual variable are tables of rows, (groups * channels * H, W), contiguous and of one
precision; `at` is the first row of a group. Functions take a table and a row and not the row itself: making a view costs as much as work
on it, and more to compile.

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
    settings: dict[str, Any] = {"nogil": True, "fastmath": _RELAXED, "error_model": "numpy"}
    try:
        return njit(cache=True, **settings)(function)
    except (RuntimeError, OSError):
        return njit(**settings)(function)


@compiled
def image_row(f, r, down, right, s, first, rows, to):  # type: ignore[no-untyped-def]
    """Row `to` becomes that of the image f + p; one more column repeats the last, so that no slope leads out."""
    width = f.shape[1]
    rows[to, 0] = f[r, 0] - down[s, 0] - right[s, 0]
    for j in range(1, width):
        rows[to, j] = f[r, j] - down[s, j] - right[s, j] + right[s, j - 1]
    if not first:
        for j in range(width):
            rows[to, j] += down[s - 1, j]
    rows[to, width] = rows[to, width - 1]


@compiled
def row_below(f, r, down, right, s, last, rows, now, below):  # type: ignore[no-untyped-def]
    """The row after r; below the last row there is the last again."""
    width = f.shape[1]
    if last:
        for j in range(width + 1):
            rows[below, j] = rows[now, j]
        return
    rows[below, 0] = f[r + 1, 0] - down[s + 1, 0] - right[s + 1, 0] + down[s, 0]
    for j in range(1, width):
        rows[below, j] = f[r + 1, j] - down[s + 1, j] - right[s + 1, j] + right[s + 1, j - 1] + down[s, j]
    rows[below, width] = rows[below, width - 1]


@compiled
def update_one(down, right, s, rows, now, below, tau, pull, one):  # type: ignore[no-untyped-def]
    """A dual step on a row of a channel that is alone in its group."""
    for j in range(down.shape[1]):
        g0, g1 = rows[below, j] - rows[now, j], rows[now, j + 1] - rows[now, j]
        shrunk = one / (one + pull * np.sqrt(g0 * g0 + g1 * g1))
        down[s, j] = (down[s, j] - tau * g0) * shrunk
        right[s, j] = (right[s, j] - tau * g1) * shrunk


@compiled
def shrink(rows, now, below, group, shrunk, pull, one):  # type: ignore[no-untyped-def]
    """By how much the vectors of all channels are shortened together."""
    for j in range(shrunk.shape[0]):
        shrunk[j] = 0
    for k in range(group):
        for j in range(shrunk.shape[0]):
            g0, g1 = rows[below + k, j] - rows[now + k, j], rows[now + k, j + 1] - rows[now + k, j]
            shrunk[j] += g0 * g0 + g1 * g1
    for j in range(shrunk.shape[0]):
        shrunk[j] = one / (one + pull * np.sqrt(shrunk[j]))


@compiled
def update_together(down, right, s, rows, now, below, shrunk, tau):  # type: ignore[no-untyped-def]
    """A dual step on a row of a channel that shares its lengths with others."""
    for j in range(down.shape[1]):
        down[s, j] = (down[s, j] - tau * (rows[below, j] - rows[now, j])) * shrunk[j]
        right[s, j] = (right[s, j] - tau * (rows[now, j + 1] - rows[now, j])) * shrunk[j]


@compiled
def step_together(f, r, down, right, s, shape, last, rows, now, below, shrunk, tau, pull, one):  # type: ignore[no-untyped-def]
    """A dual step on a row of every channel of a group; r and s are that row of its first channel."""
    group, height = shape
    for k in range(group):
        row_below(f, r + k * height, down, right, s + k * height, last, rows, now + k, below + k)
    shrink(rows, now, below, group, shrunk, pull, one)
    for k in range(group):
        update_together(down, right, s + k * height, rows, now + k, below + k, shrunk, tau)


@compiled
def advance(f, at, down, right, own, shape, steps, tau, pull, one):  # type: ignore[no-untyped-def]
    """So many dual steps on one group of `shape` channels and rows, in place."""
    group, height = shape
    rows = np.empty((2 * DEPTH * group, f.shape[1] + 1), f.dtype)
    shrunk = np.empty(f.shape[1], f.dtype)
    for done in range(0, steps, DEPTH):
        depth = min(DEPTH, steps - done)
        for front in range(height + depth - 1):
            for t in range(max(0, front - height + 1), min(depth, front + 1)):
                i = front - t
                now, below = (2 * t + i % 2) * group, (2 * t + 1 - i % 2) * group
                if i == 0:
                    for k in range(group):
                        image_row(f, at + k * height, down, right, own + k * height, True, rows, now + k)
                if group == 1:
                    row_below(f, at + i, down, right, own + i, i + 1 == height, rows, now, below)
                    update_one(down, right, own + i, rows, now, below, tau, pull, one)
                else:
                    step_together(f, at + i, down, right, own + i, shape, i + 1 == height, rows, now, below, shrunk, tau, pull, one)


@compiled
def finish(f, at, down, right, own, shape, u):  # type: ignore[no-untyped-def]
    """The image that belongs to the dual variable of one group."""
    group, height = shape
    row = np.empty((1, f.shape[1] + 1), f.dtype)
    for r in range(group * height):
        image_row(f, at + r, down, right, own + r, r % height == 0, row, 0)
        for j in range(f.shape[1]):
            u[at + r, j] = row[0, j]


@compiled
def clear(down, right, own, count):  # type: ignore[no-untyped-def]
    for r in range(own, own + count):
        for j in range(down.shape[1]):
            down[r, j] = 0
            right[r, j] = 0


@compiled
def solve(f, down, right, u, shape, steps, tau, pull, one):  # type: ignore[no-untyped-def]
    """Denoise every group. The dual variable has rows for each of them, to be kept, or for a single one that all use in turn."""
    count = shape[0] * shape[1]
    for at in range(0, len(f), count):
        own = at % len(down)
        clear(down, right, own, count)
        advance(f, at, down, right, own, shape, steps, tau, pull, one)
        finish(f, at, down, right, own, shape, u)
