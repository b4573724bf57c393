"""Philox4x32-10 and the Box-Muller transform in numba: 2048 numbers at a time, each step one loop that the processor does in lanes."""

from __future__ import annotations

import numpy as np

from robustdx.purifiers.rof.kernel import compiled

LANES = 512
"""Counters worked on together; each gives four numbers."""


@compiled
def begin(state, first):  # type: ignore[no-untyped-def]
    for i in range(state.shape[1]):
        state[0, i] = np.uint32(first + i)
        state[1, i] = np.uint32(0)
        state[2, i] = np.uint32(0)
        state[3, i] = np.uint32(0)


@compiled
def mix(state, low, high):  # type: ignore[no-untyped-def]
    """One round on every counter."""
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for i in range(state.shape[1]):
        a = (np.uint64(state[0, i]) & mask) * np.uint64(0xD2511F53)
        b = (np.uint64(state[2, i]) & mask) * np.uint64(0xCD9E8D57)
        state[0, i] = np.uint32(b >> half) ^ state[1, i] ^ low
        state[1, i] = np.uint32(b)
        state[2, i] = np.uint32(a >> half) ^ state[3, i] ^ high
        state[3, i] = np.uint32(a)


@compiled
def fill(state, first, low, high):  # type: ignore[no-untyped-def]
    """The random words of the counters from `first` on, under the key (low, high)."""
    begin(state, first)
    for _ in range(10):
        mix(state, low, high)
        low = np.uint32(low + np.uint32(0x9E3779B9))
        high = np.uint32(high + np.uint32(0xBB67AE85))


@compiled
def radii(state, table, words, powers, k):  # type: ignore[no-untyped-def]
    """Lengths sqrt(-2 ln u) for u in (0, 1], of the words in row k; `words` is the table's memory as whole numbers.

    ln by its exponent and a polynomial in t = (m - 1) / (m + 1), with m between the roots of 1/2 and of 2.
    """
    one, two = np.float32(1), np.float32(2)
    for i in range(state.shape[1]):
        table[k, i] = np.float32(np.int32(state[k, i] >> np.uint32(8)) + np.int32(1)) * np.float32(2.0**-24)
    for i in range(state.shape[1]):
        powers[i] = (words[k, i] - np.int32(0x3F3504F3)) >> np.int32(23)
        words[k, i] -= powers[i] << np.int32(23)
    for i in range(state.shape[1]):
        t = (table[k, i] - one) / (table[k, i] + one)
        s = t * t
        ln = two * t * (one + s * (np.float32(1 / 3) + s * (np.float32(1 / 5) + s * np.float32(1 / 7))))
        ln += np.float32(powers[i]) * np.float32(0.6931471805599453)
        table[k, i] = np.sqrt(max(-two * ln, np.float32(0)))


@compiled
def turned(state, table, k):  # type: ignore[no-untyped-def]
    """Lengths in row k become the two normal numbers, in rows k and k + 1, at angles of the words in row k + 1."""
    for i in range(state.shape[1]):
        word = np.int32(state[k + 1, i])
        a = np.float32(np.int32(word << np.int32(2)) >> np.int32(2)) * np.float32(2 * np.pi / 2**32)
        s = a * a
        sin = a * (np.float32(1) + s * (np.float32(-1 / 6) + s * (np.float32(1 / 120) + s * np.float32(-1 / 5040))))
        cos = np.float32(1) + s * (np.float32(-1 / 2) + s * (np.float32(1 / 24) + s * (np.float32(-1 / 720) + s * np.float32(1 / 40320))))
        quarter = (word >> np.int32(30)) & np.int32(3)
        swap = (quarter & np.int32(1)) != np.int32(0)
        length = -table[k, i] if (quarter & np.int32(2)) != np.int32(0) else table[k, i]
        table[k, i] = length * (sin if swap else cos)
        table[k + 1, i] = length * (cos if swap else sin)


@compiled
def normals(low, high, out):  # type: ignore[no-untyped-def]
    """Fill out (n,) with standard normal numbers of the key (low, high)."""
    state = np.empty((4, LANES), np.uint32)
    table = np.empty((4, LANES), np.float32)
    words, powers = table.view(np.int32), np.empty(LANES, np.int32)
    for at in range(0, len(out), 4 * LANES):
        fill(state, at // 4, low, high)
        for k in range(0, 4, 2):
            radii(state, table, words, powers, k)
            turned(state, table, k)
        for k in range(4):
            start = at + k * LANES
            for i in range(min(LANES, len(out) - start)):
                out[start + i] = table[k, i]
