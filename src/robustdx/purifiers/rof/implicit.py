"""The gradient of the denoised image by the implicit function theorem, in plain torch: no step on the way is kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from robustdx.purifiers.rof.dual import TAU, descend, gathered, lengths, slopes
from robustdx.tensors import Images


def implicit(x: Images, weight: float, steps: int, coupled: bool) -> Images:
    """The image after so many dual steps, with the gradient that belongs to its last state p = step(x, p).

    Differentiating the equation gives grad = v + (dstep/dx)' w with w = (dstep/dp)' w + slopes(v); w is summed up as the Neumann
    series, as many terms as there were steps. Equal to `unrolled` where the steps no longer move the state.
    """
    return _Implicit.apply(x, weight, steps, coupled)


class _Implicit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Images, weight: float, steps: int, coupled: bool) -> Images:
        p = descend(x, x.new_zeros((2, *x.shape)), steps, weight, coupled)
        ctx.save_for_backward(x, p)
        ctx.settings = weight, steps, coupled
        return x + gathered(p)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Images) -> tuple[Images, None, None, None]:
        x, p = ctx.saved_tensors
        weight, steps, coupled = ctx.settings
        return _summed(x, p, grad, weight, steps, coupled), None, None, None


def _summed(x: Images, p: Tensor, grad: Images, weight: float, steps: int, coupled: bool) -> Images:
    g = slopes(x + gathered(p))
    length = lengths(g, coupled)
    shrunk, unit = 1 / (1 + TAU / weight * length), g / length
    after = (p - TAU * g) * shrunk
    term = slopes(grad)
    for _ in range(steps):
        dot = (term * after).sum(0)
        dot = dot.sum(1, keepdim=True) if coupled else dot
        u = gathered(-TAU * shrunk * term - TAU / weight * shrunk * dot * unit)
        grad = grad + u
        term = shrunk * term + slopes(u)
    return grad
