"""Images looked at from elsewhere: one map of the plane for all of them."""

from __future__ import annotations

from math import gcd
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from robustdx.tensors import Images

Fill = Literal["black", "edge", "mirror"]
"""What is seen where the image ends: nothing, its last pixel, or itself as in a mirror."""

PADDING = {"black": "zeros", "edge": "border", "mirror": "reflection"}
"""The same in the words of torch."""


def warped(x: Images, source: Tensor, fill: Fill) -> Images:
    """The images under a projective map: `source` (3, 3) says from where each pixel (column, row, 1) is taken, bilinearly.

    All images move alike, so they are looked up as channels of one: the place of a pixel and its four weights are found
    once for all of them, which takes half of the time.
    """
    b, c, h, w = x.shape
    if not b:
        return x
    parts = gcd(b, torch.get_num_threads())  # torch shares out images between its threads, not rows
    grid = _grid(source, h, w).to(x).expand(parts, -1, -1, -1)
    stacked = x.reshape(parts, b // parts * c, h, w)
    return grid_sample(stacked, grid, mode="bilinear", padding_mode=PADDING[fill], align_corners=False).view(b, c, h, w)


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
    columns, rows = torch.arange(w, dtype=torch.float64), torch.arange(h, dtype=torch.float64)[:, None]
    across, down, depth = (row[0] * columns + row[1] * rows + row[2] for row in source)
    return torch.stack(((2 * across / depth + 1) / w - 1, (2 * down / depth + 1) / h - 1), dim=-1)[None]
