"""The way back through the dual steps in numba: the exact gradient, with about 2 * sqrt(steps) states of one group in memory.

A step is q = p - tau * g, p' = s * q with g = slopes(f + gathered(p)), s = 1 / (1 + pull * |g|). Back through it, given v for p':

    for g:  -tau * s * v - pull * s * <v, p'> * g / |g|  =: h        (nothing along g where |g| = 0)
    for f:  u = gathered(h)                                          for p:  s * v + slopes(u)
"""

from __future__ import annotations

import numpy as np

from robustdx.purifiers.rof.kernel import advance, clear_row, compiled, copy_row, rows_below, top_row


@compiled
def start(grad, v, f_bar):  # type: ignore[no-untyped-def]
    """What the gradient at the denoised image means for the last state and, directly, for the image."""
    group, height, width = grad.shape
    clear_row(v.ravel())
    copy_row(grad.ravel(), f_bar.ravel())
    for k in range(group):
        for i in range(height):
            for j in range(width):
                if i + 1 < height:
                    v[0, k, i, j] = grad[k, i + 1, j] - grad[k, i, j]
                if j + 1 < width:
                    v[1, k, i, j] = grad[k, i, j + 1] - grad[k, i, j]


@compiled
def measure(now, below, p0, p1, v0, v1, squares, dots, tau):  # type: ignore[no-untyped-def]
    """Add a channel's part to |g|^2 and to <v, q>."""
    for j in range(squares.shape[0]):
        g0, g1 = below[j] - now[j], now[j + 1] - now[j]
        squares[j] += g0 * g0 + g1 * g1
        dots[j] += v0[j] * (p0[j] - tau * g0) + v1[j] * (p1[j] - tau * g1)


@compiled
def weigh(squares, dots, pull, one):  # type: ignore[no-untyped-def]
    """|g|^2 becomes s, and <v, q> the factor before g: -pull * s^2 * <v, q> / |g|."""
    for j in range(squares.shape[0]):
        length = np.sqrt(squares[j])
        s = one / (one + pull * length)
        dots[j] = -pull * s * s * dots[j] / length if squares[j] > 0 else one - one
        squares[j] = s


@compiled
def turn(now, below, v0, v1, s, along, h0, h1, tau):  # type: ignore[no-untyped-def]
    """h of a row, and v shortened."""
    for j in range(s.shape[0]):
        h0[j] = along[j] * (below[j] - now[j]) - tau * s[j] * v0[j]
        h1[j] = along[j] * (now[j + 1] - now[j]) - tau * s[j] * v1[j]
        v0[j] *= s[j]
        v1[j] *= s[j]


@compiled
def spread(above, h0, h1, u, v1, f_bar):  # type: ignore[no-untyped-def]
    """u of a row, into f and into the slopes along the row."""
    width = h0.shape[0]
    u[0] = above[0] - h0[0] - h1[0]
    for j in range(1, width):
        u[j] = above[j] - h0[j] + h1[j - 1] - h1[j]
    u[width] = u[width - 1]
    for j in range(width):
        f_bar[j] += u[j]
        v1[j] += u[j + 1] - u[j]


@compiled
def add_difference(below, now, v0):  # type: ignore[no-untyped-def]
    """u's part in the slopes to the next row."""
    for j in range(v0.shape[0]):
        v0[j] += below[j] - now[j]


@compiled
def retreat(f, p, v, f_bar, tau, pull, one):  # type: ignore[no-untyped-def]
    """Back through one step from state p of one group: v in place, and its part for f added to f_bar."""
    group, height, width = f.shape
    rows = np.empty((2, group, width + 1), f.dtype)
    u = np.empty((2, group, width + 1), f.dtype)
    h = np.zeros((2, group, width), f.dtype)
    h1 = np.empty(width, f.dtype)
    squares, dots = np.empty(width, f.dtype), np.empty(width, f.dtype)
    for k in range(group):
        top_row(f[k, 0], p[0, k, 0], p[1, k, 0], rows[0, k])
    for i in range(height):
        at, past = i % 2, 1 - i % 2
        rows_below(f, p, i, rows[at], rows[past])
        clear_row(squares)
        clear_row(dots)
        for k in range(group):
            measure(rows[at, k], rows[past, k], p[0, k, i], p[1, k, i], v[0, k, i], v[1, k, i], squares, dots, tau)
        weigh(squares, dots, pull, one)
        for k in range(group):
            turn(rows[at, k], rows[past, k], v[0, k, i], v[1, k, i], squares, dots, h[at, k], h1, tau)
            spread(h[past, k], h[at, k], h1, u[at, k], v[1, k, i], f_bar[k, i])
            if i > 0:
                add_difference(u[at, k], u[past, k], v[0, k, i - 1])


@compiled
def unrolled(f, grad, f_bar, steps, tau, pull, one):  # type: ignore[no-untyped-def]
    """Back through every step: states at every `stride` steps are kept, those between are made again."""
    _, group, height, width = f.shape
    stride = max(1, int(np.sqrt(steps)))
    marks = np.zeros(((steps + stride - 1) // stride, 2, group, height, width), f.dtype)
    path = np.empty((stride, 2, group, height, width), f.dtype)
    v = np.empty((2, group, height, width), f.dtype)
    for n in range(f.shape[0]):
        start(grad[n], v, f_bar[n])
        for b in range(1, len(marks)):
            copy_row(marks[b - 1].ravel(), marks[b].ravel())
            advance(f[n], marks[b], stride, tau, pull, one)
        for b in range(len(marks) - 1, -1, -1):
            count = min(stride, steps - b * stride)
            copy_row(marks[b].ravel(), path[0].ravel())
            for k in range(1, count):
                copy_row(path[k - 1].ravel(), path[k].ravel())
                advance(f[n], path[k], 1, tau, pull, one)
            for k in range(count - 1, -1, -1):
                retreat(f[n], path[k], v, f_bar[n], tau, pull, one)


@compiled
def implicit(f, p, grad, f_bar, steps, tau, pull, one):  # type: ignore[no-untyped-def]
    """Back through so many steps that all stand at the last state: the Neumann series of the implicit function theorem."""
    _, group, height, width = f.shape
    v = np.empty((2, group, height, width), f.dtype)
    for n in range(f.shape[0]):
        start(grad[n], v, f_bar[n])
        for _ in range(steps):
            retreat(f[n], p[n], v, f_bar[n], tau, pull, one)
