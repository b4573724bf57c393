"""The two gradients of the denoised image in plain torch, by hand: autograd would keep every part of every step.

adjoint.py has the equations, and the same for the processor.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from robustdx.purifiers.rof.dual import TAU, descend, gathered, lengths, slopes, step
from robustdx.tensors import Images


def checkpointed(x: Images, weight: float, steps: int, coupled: bool) -> Images:
    """`dual.unrolled` with the same gradient from about 2 * sqrt(steps) states, those between being made again; once differentiable."""
    return _Checkpointed.apply(x, weight, steps, coupled)


def implicit(x: Images, weight: float, steps: int, coupled: bool) -> Images:
    """`dual.unrolled` with the gradient that belongs to its last state p = step(x, p).

    Differentiating the equation gives grad = v + (dstep/dx)' w with w = (dstep/dp)' w + slopes(v); w is summed up as the Neumann
    series, as many terms as there were steps. Equal to the unrolled gradient where the steps no longer move the state.
    """
    return _Implicit.apply(x, weight, steps, coupled)


class _Checkpointed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Images, weight: float, steps: int, coupled: bool) -> Images:
        ctx.save_for_backward(x)
        ctx.settings = weight, steps, coupled
        return x + gathered(descend(x, _zero(x), steps, weight, coupled))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Images) -> tuple[Images, None, None, None]:
        (x,), (weight, steps, coupled) = ctx.saved_tensors, ctx.settings
        stride = max(1, math.isqrt(steps))
        marks = [_zero(x)]
        for _ in range(stride, steps, stride):
            marks.append(descend(x, marks[-1], stride, weight, coupled))
        term, left = slopes(grad), steps
        while marks:
            path = [marks.pop()]
            for _ in range(len(marks) * stride + 1, left):
                path.append(step(x, path[-1], weight, coupled))
            left -= len(path)
            while path:
                term, u = _back(term, *_parts(x, path.pop(), weight, coupled), weight, coupled)
                grad = grad + u
        return grad, None, None, None


class _Implicit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Images, weight: float, steps: int, coupled: bool) -> Images:
        p = descend(x, _zero(x), steps, weight, coupled)
        ctx.save_for_backward(x, p)
        ctx.settings = weight, steps, coupled
        return x + gathered(p)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Images) -> tuple[Images, None, None, None]:
        (x, p), (weight, steps, coupled) = ctx.saved_tensors, ctx.settings
        parts, term = _parts(x, p, weight, coupled), slopes(grad)
        for _ in range(steps):
            term, u = _back(term, *parts, weight, coupled)
            grad = grad + u
        return grad, None, None, None


def _zero(x: Images) -> Tensor:
    return x.new_zeros((2, *x.shape))


def _parts(x: Images, p: Tensor, weight: float, coupled: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Of the step from p: by how much it shortens, the direction of the gradient, the state after it."""
    g = slopes(x + gathered(p))
    length = lengths(g, coupled)
    shrunk = 1 / (1 + TAU / weight * length)
    return shrunk, g / length, (p - TAU * g) * shrunk


def _back(term: Tensor, shrunk: Tensor, unit: Tensor, after: Tensor, weight: float, coupled: bool) -> tuple[Tensor, Images]:
    """Back through one step: what its state's gradient becomes, and what the image gets."""
    dot = (term * after).sum(0)
    dot = dot.sum(1, keepdim=True) if coupled else dot
    u = gathered(-TAU * shrunk * term - TAU / weight * shrunk * dot * unit)
    return shrunk * term + slopes(u), u
