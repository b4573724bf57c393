"""Images looked at from elsewhere: one map of the plane for all of them."""

from __future__ import annotations

from math import gcd
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from robustdx.perturbations.piecewise import piecewise
from robustdx.tensors import Images

Fill = Literal["black", "edge", "mirror"]
"""What is seen where the image ends: nothing, its last pixel, or itself as in a mirror."""

PADDING = {"black": "zeros", "edge": "border", "mirror": "reflection"}
"""The same in the words of torch."""


def warped(x: Images, source: Tensor, fill: Fill) -> Images:
    """The images under a projective map: `source` (3, 3) says from where each pixel (column, row, 1) is taken, bilinearly.

    All images move alike, so they are looked up as channels of one: the place of a pixel and its four weights are found
    once for several of them, which takes half of the time.
    """
    grid = _grid(source, *x.shape[2:])
    rows, columns = _seen(grid[0]) if fill == "black" else (slice(None), slice(None))
    used = grid[:, rows, columns].to(x)
    if used.shape == grid.shape:
        return piecewise(lambda part: _looked_up(part, used, PADDING[fill]), x)
    seen = torch.zeros_like(x, memory_format=torch.contiguous_format)
    if used.numel():
        seen[:, :, rows, columns] = piecewise(lambda part: _looked_up(part, used, PADDING[fill]), x)
    return seen


def _seen(grid: Tensor) -> tuple[slice, slice]:
    """The rows and columns between which anything of the image is seen."""
    h, w = grid.shape[:2]
    inside = (grid[..., 0].abs() <= 1 + 2 / w) & (grid[..., 1].abs() <= 1 + 2 / h)
    rows, columns = (inside.any(axis).nonzero()[:, 0] for axis in (1, 0))
    return tuple(slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(0) for at in (rows, columns))  # type: ignore[return-value]


def _looked_up(x: Images, grid: Tensor, padding: str) -> Images:
    b, c, h, w = x.shape
    parts = gcd(b, torch.get_num_threads()) if b else 1  # torch shares out images between its threads, not rows
    stacked = x.clone().reshape(parts, b // parts * c, h, w)  # a copy is read in order, and near when it is looked up: half of the time
    return grid_sample(stacked, grid.expand(parts, -1, -1, -1), mode="bilinear", padding_mode=padding, align_corners=False).view(
        b, c, *grid.shape[1:3]
    )


def about(centre: tuple[float, float], linear: Tensor) -> Tensor:
    """A linear map (2, 2) that leaves a point (column, row) where it is, as one of the plane (3, 3)."""
    point = torch.tensor(centre, dtype=torch.float64)
    whole = torch.eye(3, dtype=torch.float64)
    whole[:2, :2], whole[:2, 2] = linear, point - linear @ point
    return whole


def middle(x: Images) -> tuple[float, float]:
    """The middle of the images in pixels (column, row), between the two middle ones where their number is even."""
    return (x.shape[3] - 1) / 2, (x.shape[2] - 1) / 2


def _grid(source: Tensor, h: int, w: int) -> Tensor:
    """(1, h, w, 2): where each pixel comes from, as `grid_sample` counts, from edge to edge of the image -1 to 1."""
    counted = torch.tensor([[2 / w, 0, 1 / w - 1], [0, 2 / h, 1 / h - 1], [0, 0, 1]], dtype=torch.float64) @ source
    columns, rows = torch.arange(w, dtype=torch.float64), torch.arange(h, dtype=torch.float64)[:, None]
    grid = torch.empty(1, h, w, 2, dtype=torch.float64)
    for at in range(2):
        torch.add(counted[at, 0] * columns, counted[at, 1] * rows + counted[at, 2], out=grid[0, :, :, at])
    if counted[2, :2].any():
        grid /= (counted[2, 0] * columns + counted[2, 1] * rows + counted[2, 2])[..., None]
    return grid
