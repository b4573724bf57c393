"""The fused kernels as torch sees them: shared among torch's threads, with both gradients."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from robustdx.purifiers.rof.dual import TAU
from robustdx.tensors import Images

State = tuple[np.ndarray, np.ndarray]


def fits(x: Images) -> bool:
    """Whether the kernels may be used: on the processor, in float32, and not while a program is traced or exported."""
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    return x.device.type == "cpu" and x.dtype == torch.float32 and not traced


def fused(x: Images, weight: float, steps: int, coupled: bool, implicit: bool) -> Images:
    """The image after so many dual steps; its gradient is that of `dual.unrolled` or `backward.implicit`."""
    return _Fused.apply(x, _Setting(weight, steps, coupled), implicit)


@dataclass(frozen=True)
class _Setting:
    weight: float
    steps: int
    coupled: bool

    def shape(self, x: Tensor) -> tuple[int, int]:
        """Channels and rows of a group: channels alone, or all of an image together."""
        return (x.shape[1] if self.coupled else 1), x.shape[2]

    @property
    def numbers(self) -> tuple[Any, ...]:
        """Steps, tau, tau / weight and 1, in float32: in another precision the whole kernel would compute in that."""
        return self.steps, np.float32(TAU), np.float32(TAU / self.weight), np.float32(1)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Images, setting: _Setting, implicit: bool) -> Images:
        keep = implicit and x.requires_grad
        u, state = _solved(_table(x), setting.shape(x), setting, keep)
        ctx.setting = setting
        ctx.save_for_backward(x, *(map(torch.from_numpy, state) if keep else ()))
        return torch.from_numpy(u).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Images) -> tuple[Images, None, None]:
        x, *state = ctx.saved_tensors
        f_bar = _back(_table(x), _table(grad), ctx.setting.shape(x), ctx.setting, [part.numpy() for part in state])
        return torch.from_numpy(f_bar).view(x.shape), None, None


def _solved(f: np.ndarray, shape: tuple[int, int], setting: _Setting, keep: bool) -> tuple[np.ndarray, State]:
    """The denoised rows and, where they are to be kept, their dual variables."""
    from robustdx.purifiers.rof import kernel  # numba is slow to import, and only wanted here

    u, count = np.empty_like(f), shape[0] * shape[1]
    state = _state(f if keep else f[:0])

    def work(part: slice) -> None:
        down, right = (p[part] for p in state) if keep else _state(f[:count])
        kernel.solve(f[part], down, right, u[part], shape, *setting.numbers)

    _shared(work, len(f), count)
    return u, state


def _back(f: np.ndarray, grad: np.ndarray, shape: tuple[int, int], setting: _Setting, state: list[np.ndarray]) -> np.ndarray:
    from robustdx.purifiers.rof import adjoint

    f_bar = np.empty_like(f)

    def work(part: slice) -> None:
        if state:
            down, right = (p[part] for p in state)
            adjoint.implicit(f[part], down, right, grad[part], f_bar[part], shape, *setting.numbers)
        else:
            adjoint.unrolled(f[part], grad[part], f_bar[part], shape, *setting.numbers)

    _shared(work, len(f), shape[0] * shape[1])
    return f_bar


def _table(x: Tensor) -> np.ndarray:
    """All rows of all channels of all images."""
    return x.detach().contiguous().view(-1, x.shape[-1]).numpy()


def _state(like: np.ndarray) -> State:
    return np.empty_like(like), np.empty_like(like)


def _shared(work: Callable[[slice], None], rows: int, count: int) -> None:
    """Do the groups' work, `count` rows each, on as many threads as torch uses; the kernels let go of Python's lock."""
    groups = rows // count
    threads = min(torch.get_num_threads(), groups)
    if threads <= 1:
        return work(slice(0, rows))
    edges = [groups * i // threads * count for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, map(slice, edges[:-1], edges[1:])))
    return None
