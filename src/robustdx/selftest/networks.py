"""The small networks that the selftest is made on: what `reproduce/selftest` trains."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustdx.models import CNN

WIDTH = 12
"""Of the plain CNN: 138 thousand weights, 0.6 MB."""
CELL = 4
"""Pixels on each side of the squares whose mean the Lipschitz network sees."""
SHARPNESS = 10.0
"""What the Lipschitz network's outputs are multiplied by, so that cross-entropy has something to pull at."""


def small(num_classes: int) -> CNN:
    """The plain CNN, narrow."""
    return CNN(num_classes, width=WIDTH)


@final
class AlmostOrthogonal(nn.Linear):
    """A layer that never stretches a difference: W diag(d), d_i = (sum_j |W'W|_ij)^(-1/2) (Prach & Lampert 2022, theorem 1)."""

    def forward(self, x: Tensor) -> Tensor:
        shrink = (self.weight.T @ self.weight).abs().sum(1).clamp_min(1e-12).rsqrt()
        return F.linear(x, self.weight * shrink, self.bias)


@final
class Lipschitz(nn.Module):
    """Outputs that move by at most `SHARPNESS` times the Euclidean length of a change of the input (48 x 48 pixels).

    Means over squares, three almost orthogonal layers, and between them each pair of values in order of size: none of
    these makes a difference longer.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([AlmostOrthogonal(432, 192), AlmostOrthogonal(192, 192), AlmostOrthogonal(192, num_classes)])

    def forward(self, x: Tensor) -> Tensor:
        h = (F.avg_pool2d(x, CELL) * CELL).flatten(1)
        for layer in self.layers[:-1]:
            h = _sorted_pairs(layer(h))
        return self.layers[-1](h) * SHARPNESS


def _sorted_pairs(h: Tensor) -> Tensor:
    """Smaller and larger of each pair of neighbours (GroupSort; Anil et al. 2019, section 4.2)."""
    one, other = h.chunk(2, 1)
    return torch.cat((torch.minimum(one, other), torch.maximum(one, other)), 1)
