"""The way back through the dual steps in numba: the exact gradient, with about 2 * sqrt(steps) states of one group in memory.

A step is q = p - tau * g, p' = s * q with g = slopes(f + gathered(p)), s = 1 / (1 + pull * |g|). Back through it, given v for p':

    for g:  -tau * s * v - pull * s * <v, p'> * g / |g|  =: h        (nothing along g where |g| = 0)
    for f:  u = gathered(h)                                          for p:  s * v + slopes(u)

Tables of rows as in kernel.py; v has those of one group.
"""

from __future__ import annotations

import numpy as np

from robustdx.purifiers.rof.kernel import advance, clear, compiled, image_row, row_below


@compiled
def start(grad, at, shape, v0, v1, f_bar):  # type: ignore[no-untyped-def]
    """What the gradient at the denoised image means for the last state and, directly, for the image."""
    group, height = shape
    width = grad.shape[1]
    for s in range(group * height):
        r, last = at + s, (s + 1) % height == 0
        for j in range(width):
            f_bar[r, j] = grad[r, j]
            v0[s, j] = grad[r, j] - grad[r, j] if last else grad[r + 1, j] - grad[r, j]
        for j in range(width - 1):
            v1[s, j] = grad[r, j + 1] - grad[r, j]
        v1[s, width - 1] = 0


@compiled
def measure(down, right, s, v0, v1, r, rows, now, below, squares, dots, tau):  # type: ignore[no-untyped-def]
    """Add a channel's part to |g|^2 and to <v, q>."""
    for j in range(squares.shape[0]):
        g0, g1 = rows[below, j] - rows[now, j], rows[now, j + 1] - rows[now, j]
        squares[j] += g0 * g0 + g1 * g1
        dots[j] += v0[r, j] * (down[s, j] - tau * g0) + v1[r, j] * (right[s, j] - tau * g1)


@compiled
def weigh(squares, dots, pull, one):  # type: ignore[no-untyped-def]
    """|g|^2 becomes s, and <v, q> the factor before g: -pull * s^2 * <v, q> / |g|."""
    zero = one - one
    for j in range(squares.shape[0]):
        length = np.sqrt(squares[j])
        shrunk = one / (one + pull * length)
        dots[j] = -pull * shrunk * shrunk * dots[j] / length if length > zero else zero
        squares[j] = shrunk


@compiled
def turn(v0, v1, r, rows, now, below, shrunk, along, h, to, tau):  # type: ignore[no-untyped-def]
    """h of a row (to: down, to + 2: right), and v shortened."""
    for j in range(shrunk.shape[0]):
        h[to, j] = along[j] * (rows[below, j] - rows[now, j]) - tau * shrunk[j] * v0[r, j]
        h[to + 2, j] = along[j] * (rows[now, j + 1] - rows[now, j]) - tau * shrunk[j] * v1[r, j]
        v0[r, j] *= shrunk[j]
        v1[r, j] *= shrunk[j]


@compiled
def spread(h, to, other, first, u, f_bar, q, v0, v1, r):  # type: ignore[no-untyped-def]
    """u of a row (to; of the row before it: other), into f and into the slopes along the row and to it."""
    width = v1.shape[1]
    u[to, 0] = h[other, 0] - h[to, 0] - h[to + 2, 0]
    for j in range(1, width):
        u[to, j] = h[other, j] - h[to, j] - h[to + 2, j] + h[to + 2, j - 1]
    u[to, width] = u[to, width - 1]
    for j in range(width):
        f_bar[q, j] += u[to, j]
        v1[r, j] += u[to, j + 1] - u[to, j]
    if not first:
        for j in range(width):
            v0[r - 1, j] += u[to, j] - u[other, j]


@compiled
def retreat(f, at, down, right, own, shape, v0, v1, f_bar, tau, pull, one):  # type: ignore[no-untyped-def]
    """Back through one step from a state of one group: v in place, and its part for f added to f_bar."""
    group, height = shape
    width = f.shape[1]
    rows = np.empty((2 * group, width + 1), f.dtype)
    u = np.empty((4 * group, width + 1), f.dtype)
    h = np.zeros((4 * group, width), f.dtype)
    squares, dots = np.empty(width, f.dtype), np.empty(width, f.dtype)
    for i in range(height):
        now, below = (i % 2) * group, (1 - i % 2) * group
        for j in range(width):
            squares[j] = 0
            dots[j] = 0
        for k in range(group):
            r = k * height + i
            if i == 0:
                image_row(f, at + r, down, right, own + r, True, rows, now + k)
            row_below(f, at + r, down, right, own + r, i + 1 == height, rows, now + k, below + k)
            measure(down, right, own + r, v0, v1, r, rows, now + k, below + k, squares, dots, tau)
        weigh(squares, dots, pull, one)
        for k in range(group):
            r, to, other = k * height + i, 4 * k + i % 2, 4 * k + 1 - i % 2
            turn(v0, v1, r, rows, now + k, below + k, squares, dots, h, to, tau)
            spread(h, to, other, i == 0, u, f_bar, at + r, v0, v1, r)


@compiled
def copy(down, right, source, target, count):  # type: ignore[no-untyped-def]
    for r in range(count):
        for j in range(down.shape[1]):
            down[target + r, j] = down[source + r, j]
            right[target + r, j] = right[source + r, j]


@compiled
def unrolled(f, grad, f_bar, shape, steps, tau, pull, one):  # type: ignore[no-untyped-def]
    """Back through every step: states at every `stride` steps are kept, those between are made again.

    The table of states holds first those on the path of the moment, `stride` of them, then those kept.
    """
    count, width, stride = shape[0] * shape[1], f.shape[1], max(1, int(np.sqrt(steps)))
    kept = (steps + stride - 1) // stride
    down, right = np.empty((count * (stride + kept), width), f.dtype), np.empty((count * (stride + kept), width), f.dtype)
    v0, v1 = np.empty((count, width), f.dtype), np.empty((count, width), f.dtype)
    for at in range(0, len(f), count):
        start(grad, at, shape, v0, v1, f_bar)
        clear(down, right, stride * count, count)
        for own in range((stride + 1) * count, (stride + kept) * count, count):
            copy(down, right, own - count, own, count)
            advance(f, at, down, right, own, shape, stride, tau, pull, one)
        for b in range(kept - 1, -1, -1):
            length = min(stride, steps - b * stride)
            copy(down, right, (stride + b) * count, 0, count)
            for own in range(count, length * count, count):
                copy(down, right, own - count, own, count)
                advance(f, at, down, right, own, shape, 1, tau, pull, one)
            for k in range(length - 1, -1, -1):
                retreat(f, at, down, right, k * count, shape, v0, v1, f_bar, tau, pull, one)


@compiled
def implicit(f, down, right, grad, f_bar, shape, steps, tau, pull, one):  # type: ignore[no-untyped-def]
    """Back through so many steps that all stand at the last state: the Neumann series of the implicit function theorem."""
    count, width = shape[0] * shape[1], f.shape[1]
    v0, v1 = np.empty((count, width), f.dtype), np.empty((count, width), f.dtype)
    for at in range(0, len(f), count):
        start(grad, at, shape, v0, v1, f_bar)
        for _ in range(steps):
            retreat(f, at, down, right, at, shape, v0, v1, f_bar, tau, pull, one)
