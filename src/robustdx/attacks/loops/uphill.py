"""The gradient of what an attack drives up, asked for in one place."""

from __future__ import annotations

import torch
from torch import Tensor

from robustdx.tensors import Images


def uphill(objective: Tensor, z: Images, *, keep: bool = False) -> Images:
    """The gradient with respect to z of the sum of an objective, 0 where it is not a number or where there is none at all (a model may
    answer some images from a store); `keep`: another will be asked of the graph.

    It has memory of its own: what autograd gives back may be one number that every pixel shares, as for a network that adds its pixels.
    """
    if not objective.requires_grad:
        return torch.zeros_like(z)
    (grad,) = torch.autograd.grad(objective.sum(), z, retain_graph=keep, allow_unused=True)
    return torch.zeros_like(z) if grad is None else grad.nan_to_num(nan=0.0)
