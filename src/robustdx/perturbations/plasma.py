"""Clouds, by diamonds and squares (Fournier, Fussell and Carpenter 1982)."""

from __future__ import annotations

import torch
from torch import Tensor


def plasma(chance: Tensor, decay: float) -> Tensor:
    """Clouds (B, N, N) in [0, 1], N a power of 2, without a seam, from a number in [-1, 1) for every point.

    Each point is the mean of four that are there already plus a share of its number; the share falls by `decay` squared when the distance
    halves.
    """
    side = chance.shape[-1]
    height = torch.zeros_like(chance)
    step, share = side, 1.0
    while step >= 2:
        half = step // 2
        corners = height[:, ::step, ::step]
        middles = _mean(corners, (-1, -2)) + share * chance[:, half::step, half::step]
        height[:, half::step, half::step] = middles
        across = (_pair(middles, 1, 1) + _pair(corners, -1, 2)) / 4
        down = (_pair(middles, 1, 2) + _pair(corners, -1, 1)) / 4
        height[:, ::step, half::step] = across + share * chance[:, ::step, half::step]
        height[:, half::step, ::step] = down + share * chance[:, half::step, ::step]
        step, share = half, share / decay**2
    low, high = height.amin((1, 2), keepdim=True), height.amax((1, 2), keepdim=True)
    return (height - low) / (high - low).clamp_min(1e-12)


def _pair(points: Tensor, shift: int, dim: int) -> Tensor:
    """Each point and its neighbour."""
    return points + points.roll(shift, dim)


def _mean(points: Tensor, dims: tuple[int, int]) -> Tensor:
    """The mean of each point and the three that span a square with it."""
    return _pair(_pair(points, -1, dims[0]), -1, dims[1]) / 4
