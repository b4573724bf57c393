"""A Gaussian blur of images or gradients, each channel for itself."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.errors import PlanError
from robustdx.tensors import Images

WIDEST = 21
"""Widest kernel, in pixels: the first version of SMIA's released code has it."""


def smoothed(x: Images, width: int, sigma: float) -> Images:
    """x convolved with a centred Gaussian of `width` pixels whose weights sum to 1; beyond the edge lies 0."""
    c, half = x.shape[1], width // 2
    line = gaussian(width, sigma).to(x)
    rows = F.conv2d(x, line.view(1, 1, -1, 1).expand(c, 1, -1, 1), padding=(half, 0), groups=c)
    return F.conv2d(rows, line.view(1, 1, 1, -1).expand(c, 1, 1, -1), padding=(0, half), groups=c)


def gaussian(width: int, sigma: float) -> Tensor:
    """(width,): a normal density at whole pixels around the middle one, scaled to a sum of 1."""
    pixels = torch.arange(width, dtype=torch.float32) - width // 2
    line = torch.exp(-0.5 * (pixels / sigma) ** 2)
    return line / line.sum()


def require_kernel(name: str, width: int) -> None:
    """Refuse a kernel without a middle pixel, or one that is too wide."""
    if width % 2 == 0 or not 3 <= width <= WIDEST:
        raise PlanError(f"{name} must be an odd number of pixels from 3 to {WIDEST}, got {width}: it has a pixel in the middle")
