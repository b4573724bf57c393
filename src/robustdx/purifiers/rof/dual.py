"""Chambolle's dual projection in plain torch: on any device and in any precision, traced, exported and differentiated as it stands.

The dual variable p has shape (2, B, C, H, W): one part for rows, one for columns.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from robustdx.tensors import Images

TAU = 0.25
"""Length of a dual step: 1 / (2 * dimensions), as scikit-image takes it."""
_SMALLEST = 1e-30
"""Below this the square of a gradient's length counts as zero, and so does its derivative: the root of 0 has none."""


def slopes(u: Images) -> Tensor:
    """Differences to the next row and to the next column, (2, B, C, H, W); zero at the last of each."""
    down = pad(u[..., 1:, :] - u[..., :-1, :], (0, 0, 0, 1))
    right = pad(u[..., :, 1:] - u[..., :, :-1], (0, 1))
    return torch.stack((down, right))


def gathered(p: Tensor) -> Images:
    """The transpose of `slopes`, minus the divergence: what the dual variable adds to the image."""
    down, right = p
    return pad(down[..., :-1, :], (0, 0, 1, 0)) - down + pad(right[..., :, :-1], (1, 0)) - right


def lengths(g: Tensor, coupled: bool) -> Tensor:
    """Length of the gradient at each pixel, of each channel or (coupled) of all channels together."""
    squares = (g * g).sum(0)
    squares = squares.sum(1, keepdim=True) if coupled else squares
    return torch.where(squares > _SMALLEST, squares, 0).clamp_min(_SMALLEST).sqrt()


def step(x: Images, p: Tensor, weight: float, coupled: bool) -> Tensor:
    """One dual step: downhill, then shortened so that no vector grows longer than the weight."""
    g = slopes(x + gathered(p))
    return (p - TAU * g) / (1 + TAU / weight * lengths(g, coupled))


def descend(x: Images, p: Tensor, steps: int, weight: float, coupled: bool) -> Tensor:
    for _ in range(steps):
        p = step(x, p, weight, coupled)
    return p


def unrolled(x: Images, weight: float, steps: int, coupled: bool) -> Images:
    """The image after so many dual steps. Autograd keeps every one of them, about ten images each."""
    return x + gathered(descend(x, x.new_zeros((2, *x.shape)), steps, weight, coupled))
