"""Edges, how far each pixel lies from one, and histograms made even: as OpenCV has them, for many pictures at once."""

from __future__ import annotations

from math import tan

import torch
from torch import Tensor
from torch.nn.functional import pad

from robustdx.perturbations.sequences.smear import framed

FLAT, STEEP = tan(torch.pi / 8), tan(3 * torch.pi / 8)
"""Slopes at 22.5 and at 67.5 degrees: what lies between them is diagonal."""
STRIDES = (1, 2, 4, 8, 5)
"""Each distance from 0 to 20 is a sum of some of them."""


def edges(grey: Tensor, low: float, high: float) -> Tensor:
    """Where (B, 1, H, W) pictures of values 0 to 255 have an edge (Canny 1986; Sobel gradients, their sizes |dx| + |dy|).

    An edge is a gradient above `low` that is the largest across itself, and hangs together with one above `high`.
    """
    p = framed(grey, 1)
    down = p[..., :-2, :] + 2 * p[..., 1:-1, :] + p[..., 2:, :]
    across = p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]
    dx, dy = down[..., 2:] - down[..., :-2], across[..., 2:, :] - across[..., :-2, :]
    size = dx.abs() + dy.abs()
    found = _largest_across(size, dx, dy, low)
    return _hanging_together(found, found & (size > high))


def distance(found: Tensor, most: int = 20) -> Tensor:
    """How far (B, 1, H, W) pixels lie from the nearest one that was found, in pixels, at most 20.

    Exact: down the columns first, in steps that double, then the parabolas along the rows.
    """
    column = torch.where(found, 0, most + 1).to(torch.int16)
    for stride in STRIDES:
        before = column + stride
        _lower(column[..., stride:, :], before[..., :-stride, :])
        _lower(column[..., :-stride, :], before[..., stride:, :])
    square = column.clamp_(max=most + 1) ** 2
    nearest = square.clone()
    for dx in range(1, min(most, found.shape[3] - 1) + 1):
        beside = square + dx * dx
        _lower(nearest[..., dx:], beside[..., :-dx])
        _lower(nearest[..., :-dx], beside[..., dx:])
    return nearest.float().sqrt_().clamp_(max=most)


def equalised(levels: Tensor, count: int) -> Tensor:
    """Pictures of whole numbers below `count` with all grey values from 0 to 255 about as frequent."""
    b, pixels = len(levels), levels[0].numel()
    places = levels.view(b, -1) + count * torch.arange(b, device=levels.device)[:, None]
    histogram = torch.bincount(places.flatten(), minlength=b * count).view(b, count)
    below = histogram.cumsum(1)
    lowest = histogram.gather(1, (below > 0).int().argmax(1, keepdim=True))
    even = ((below - lowest) * (255 / (pixels - lowest).clamp(min=1))).round_().clamp_(min=0)
    flat = torch.arange(count, device=levels.device).expand_as(even).to(even)
    return torch.where(lowest == pixels, flat, even).flatten()[places].view_as(levels)


def _largest_across(size: Tensor, dx: Tensor, dy: Tensor, low: float) -> Tensor:
    """Where a gradient above `low` is larger than its neighbours in its own direction; one of two along an axis may be as large.

    Most pixels have none: only those that do are looked at, by their place in the row of all pixels with a frame of zeros.
    """
    wide = pad(size, (1, 1, 1, 1))
    row, all_ = wide.shape[3], wide.flatten()
    at = (wide > low).flatten().nonzero()[:, 0]
    x, y, own = (pad(v, (1, 1, 1, 1)).flatten()[at] for v in (dx, dy, size))
    flat, steep = y.abs() < FLAT * x.abs(), y.abs() > STEEP * x.abs()
    beside = torch.where(flat, 1, torch.where(steep, row, torch.where((x < 0) != (y < 0), row - 1, row + 1)))
    before, after = all_[at - beside], all_[at + beside]
    largest = (own > before) & ((own > after) | ((flat | steep) & (own == after)))
    found = torch.zeros_like(all_, dtype=torch.bool)
    found[at[largest]] = True
    return found.view_as(wide)[..., 1:-1, 1:-1]


def _hanging_together(weak: Tensor, strong: Tensor) -> Tensor:
    """Those of the weak ones that a chain of neighbours joins to a strong one."""
    whole, open_ = strong.to(torch.uint8), weak.to(torch.uint8)
    while True:
        tall = whole.clone()
        tall[..., 1:, :] |= whole[..., :-1, :]
        tall[..., :-1, :] |= whole[..., 1:, :]
        wide = tall.clone()
        wide[..., 1:] |= tall[..., :-1]
        wide[..., :-1] |= tall[..., 1:]
        wide &= open_
        if torch.equal(wide, whole):
            return whole.bool()
        whole = wide


def _lower(values: Tensor, others: Tensor) -> None:
    torch.minimum(values, others, out=values)
