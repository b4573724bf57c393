"""The fused kernels as torch sees them: shared among torch's threads, with both gradients."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from robustdx.purifiers.rof.dual import TAU
from robustdx.tensors import Images


def fits(x: Images) -> bool:
    """Whether the kernels may be used: on the processor, in float32, and not while a program is traced or exported."""
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return x.device.type == "cpu" and x.dtype == torch.float32 and not traced


def fused(x: Images, weight: float, steps: int, coupled: bool, implicit: bool) -> Images:
    """The image after so many dual steps; its gradient is that of `dual.unrolled` or `implicit.implicit`."""
    return _Fused.apply(x, weight, steps, coupled, implicit)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Images, weight: float, steps: int, coupled: bool, implicit: bool) -> Images:
        ctx.settings = weight, steps, coupled
        f = _groups(x, coupled)
        keep = implicit and x.requires_grad
        u, p = _solved(f, weight, steps, keep)
        ctx.save_for_backward(x, *([torch.from_numpy(p)] if keep else []))
        return torch.from_numpy(u).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Images) -> tuple[Images, None, None, None, None]:
        x, *p = ctx.saved_tensors
        weight, steps, coupled = ctx.settings
        f_bar = _back(_groups(x, coupled), _groups(grad, coupled), weight, steps, *(state.numpy() for state in p))
        return torch.from_numpy(f_bar).view(x.shape), None, None, None, None


def _solved(f: np.ndarray, weight: float, steps: int, keep: bool) -> tuple[np.ndarray, np.ndarray]:
    """The denoised groups and, where they are to be kept, their dual variables."""
    from robustdx.purifiers.rof import kernel  # numba is slow to import, and only wanted here

    u, state = np.empty_like(f), (2, *f.shape[1:])
    p = np.empty((len(f) if keep else 0, *state), f.dtype)

    def work(part: slice) -> None:
        own = p[part] if keep else np.empty((1, *state), f.dtype)
        kernel.solve(f[part], own, u[part], steps, *_scalars(f.dtype, weight))

    _shared(work, len(f))
    return u, p


def _back(f: np.ndarray, grad: np.ndarray, weight: float, steps: int, p: np.ndarray | None = None) -> np.ndarray:
    from robustdx.purifiers.rof import adjoint

    f_bar, scalars = np.empty_like(f), _scalars(f.dtype, weight)

    def work(part: slice) -> None:
        if p is None:
            adjoint.unrolled(f[part], grad[part], f_bar[part], steps, *scalars)
        else:
            adjoint.implicit(f[part], p[part], grad[part], f_bar[part], steps, *scalars)

    _shared(work, len(f))
    return f_bar


def _groups(x: Tensor, coupled: bool) -> np.ndarray:
    """(B, C, H, W) as N groups of G channels: channels alone, or all of an image together."""
    height, width = x.shape[-2:]
    return x.detach().contiguous().view(-1, x.shape[1] if coupled else 1, height, width).numpy()


def _scalars(dtype: Any, weight: float) -> tuple[Any, Any, Any]:
    """tau, tau / weight and 1 in the precision of the image: in another, the whole kernel would compute in that."""
    return dtype.type(TAU), dtype.type(TAU / weight), dtype.type(1)


def _shared(work: Callable[[slice], None], count: int) -> None:
    """Do the groups' work on as many threads as torch uses; the kernels let go of Python's lock."""
    threads = min(torch.get_num_threads(), count)
    if threads <= 1:
        return work(slice(0, count))
    edges = [count * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, map(slice, edges[:-1], edges[1:])))
    return None
