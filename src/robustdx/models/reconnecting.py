"""How code that cuts, kills or bends its gradient is run so that a usable one comes out: forward the same, backward honest.

A defence that rounds, compares, detaches, clips, leaves torch for NumPy or writes a backward pass of its own gives an attack no
gradient, or a wrong one. While this mode is on, each such operation answers as it always does and passes the gradient of the nearest
operation that has one (BPDA, Athalye et al. 2018, section 4.1, for every operation by itself and without being told which).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from robustdx.models.forwards import plain_forward
from robustdx.tensors import Images

LEAK = 1e-3
"""What a saturated activation passes on at least, as a share of the gradient."""
WINDOW = 0.1
"""How far from its threshold a comparison passes most of its gradient, as a share of the spread of what is compared."""

Func = Callable[..., Any]
Words = Mapping[str, Any]

STEPS = {"round", "floor", "ceil", "trunc", "fix", "sign", "sgn"}
CLIPS = {"clamp", "clip", "clamp_min", "clamp_max", "hardtanh", "relu6"}
CUTS = {"detach"}
COMPARISONS = {"gt", "ge", "lt", "le", "__gt__", "__ge__", "__lt__", "__le__"}
FALLING = {"lt", "le", "__lt__", "__le__"}
CASTS = {"float", "double", "half", "bfloat16", "to", "type", "type_as", "int", "long", "byte", "short"}
ARITHMETIC = {"mul", "add", "sub", "div", "sum", "mean", "__mul__", "__rmul__", "__add__", "__radd__", "__sub__", "__rsub__"}
SATURATING = {"sigmoid", "tanh", "softmax"}
LEAVING = {"numpy", "__array__", "tolist", "item", "__float__", "__int__", "__bool__", "__index__"}
ENTRANCES = {"conv1d", "conv2d", "conv3d", "linear", "matmul", "__matmul__", "bmm", "mm", "batch_norm", "addmm"}
"""Where a network begins: an image that arrives here without its history is given it back."""
HOOKS = {"register_hook"}


class Reconnecting(TorchFunctionMode):
    """Inside the block, what is computed from `x` keeps a gradient to it wherever one can be put in place of none.

    Rounding and clipping pass it as if they were not there; a comparison passes that of a smooth step; what is detached, computed
    without gradients or taken to NumPy and back is followed all the same; a custom backward pass is replaced by that of its own forward
    pass, and hooks that change gradients do not run; activations that are saturated pass a little. Values are those of the code as it is.
    """

    def __init__(self, x: Images) -> None:
        super().__init__()
        self.x = x
        self.ghosts: Any = WeakIdKeyDictionary()
        """Tensors of whole numbers or truth values, and the smooth ones that they came from."""
        self.shares: Any = WeakIdKeyDictionary()
        """What a softmax gave, and what it was given, along which dimension."""

    def __torch_function__(self, func: Func, types: Any, args: tuple[Any, ...] = (), kwargs: Words | None = None) -> Any:
        words, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if func is torch._C._set_grad_enabled:
            return None  # without gradients nothing could be followed; they are on, and stay on
        if func == torch.Tensor.data.__get__:  # type: ignore[attr-defined]
            return args[0]
        handler = self._handler(name.removesuffix("_") if name[:1] != "_" else name)
        return func(*args, **words) if handler is None or not args else handler(func, name, args, words)

    def _handler(self, name: str) -> Callable[[Func, str, tuple[Any, ...], dict[str, Any]], Any] | None:
        for names, handler in (
            (STEPS | CLIPS, self._step),
            (CUTS, lambda func, name, args, words: args[0]),
            (HOOKS, lambda func, name, args, words: torch.utils.hooks.RemovableHandle(OrderedDict())),
            (COMPARISONS, self._compare),
            (CASTS, self._cast),
            (ARITHMETIC, self._soft),
            (SATURATING, self._leak),
            ({"log"}, self._log),
            (LEAVING, lambda func, name, args, words: func(args[0].detach(), *args[1:], **words)),
            (ENTRANCES, self._enter),
        ):
            if name in names:
                return handler
        return None

    def _step(self, func: Func, name: str, args: tuple[Any, ...], words: dict[str, Any]) -> Any:
        z = args[0]
        if not _followed(z) or "out" in words:
            return func(*args, **words)
        out = _with_gradient_of(func(z.detach().clone(), *args[1:], **words), z)
        if (behind := self.shares.get(z)) is not None:
            self.shares[out] = behind
        return z.copy_(out) if name.endswith("_") and not name.endswith("__") else out

    def _compare(self, func: Func, name: str, args: tuple[Any, ...], words: dict[str, Any]) -> Any:
        out = func(*args, **words)
        if any(_followed(a) for a in args[:2]):
            gap = args[0] - args[1]
            self.ghosts[out] = _smooth_step(-gap if name in FALLING else gap)
        return out

    def _cast(self, func: Func, name: str, args: tuple[Any, ...], words: dict[str, Any]) -> Any:
        z = args[0]
        ghost = self.ghosts.get(z) if isinstance(z, Tensor) else None
        out = func(*args, **words)
        if not isinstance(out, Tensor):
            return out
        if ghost is not None and out.is_floating_point():
            return _with_gradient_of(out, ghost)
        if ghost is not None or (_followed(z) and not out.is_floating_point()):
            self.ghosts[out] = z if ghost is None else ghost
        return out

    def _soft(self, func: Func, name: str, args: tuple[Any, ...], words: dict[str, Any]) -> Any:
        """Arithmetic with truth values or whole numbers that stand for something smooth."""
        return func(*(self._softened(a) for a in args), **words)

    def _softened(self, a: Any) -> Any:
        ghost = self.ghosts.get(a) if isinstance(a, Tensor) and not a.is_floating_point() else None
        return a if ghost is None else _with_gradient_of(a.to(ghost.dtype), ghost)

    def _leak(self, func: Func, name: str, args: tuple[Any, ...], words: dict[str, Any]) -> Any:
        out, z = func(*args, **words), args[0]
        if not _followed(z) or not isinstance(out, Tensor) or not out.is_floating_point():
            return out
        if name == "softmax":
            self.shares[out] = (z, _dim(args, words))
            return out
        slope = 1 - out.detach() ** 2 if name.startswith("tanh") else out.detach() * (1 - out.detach())
        return out + LEAK * (slope < LEAK) * (z - z.detach()).to(out.dtype)

    def _log(self, func: Func, name: str, args: tuple[Any, ...], words: dict[str, Any]) -> Any:
        """The logarithm of shares that a softmax made: its gradient does not die where a share is 0 or 1 in float32."""
        out, behind = func(*args, **words), self.shares.get(args[0]) if isinstance(args[0], Tensor) else None
        return out if behind is None or "out" in words else _with_gradient_of(out, F.log_softmax(*behind))

    def _enter(self, func: Func, name: str, args: tuple[Any, ...], words: dict[str, Any]) -> Any:
        return func(*(self._reconnected(a) if n < 2 else a for n, a in enumerate(args)), **words)

    def _reconnected(self, a: Any) -> Any:
        """What has the shape of the images and no history is taken for the images, changed by something that torch did not see."""
        if not isinstance(a, Tensor) or a.requires_grad or not a.is_floating_point() or not self.x.requires_grad:
            return a
        if a.shape != self.x.shape and (a.shape[:1] != self.x.shape[:1] or a.numel() != self.x.numel()):
            return a
        return _with_gradient_of(a, self.x.reshape(a.shape).to(a.dtype))


@contextmanager
def reconnecting(network: nn.Module, x: Images) -> Iterator[None]:
    """Run what stands inside so that its gradient can be followed; custom backward passes and hooks of the network are left out."""
    hooks = [d for m in network.modules() for d in (m._backward_hooks, m._backward_pre_hooks) if d]
    kept = [dict(d) for d in hooks]
    for d in hooks:
        d.clear()
    try:
        with plain_forward(), Reconnecting(x):
            yield
    finally:
        for d, was in zip(hooks, kept, strict=True):
            d.update(was)


def _followed(z: Any) -> bool:
    return isinstance(z, Tensor) and z.requires_grad


def _with_gradient_of(out: Tensor, z: Tensor) -> Tensor:
    """The value of `out`, to the last bit, and the gradient of z, where shapes allow."""
    if not out.is_floating_point() or out.shape != z.shape:
        return out
    way = (z - z.detach()).nan_to_num(0, 0, 0)  # infinite less infinite is not a number
    return out.detach() + way.to(out.dtype)


def _dim(args: tuple[Any, ...], words: Words) -> int:
    """Along which dimension a softmax was taken."""
    return args[1] if len(args) > 1 and isinstance(args[1], int) else int(words.get("dim", -1))


def _smooth_step(gap: Tensor) -> Tensor:
    """What has, at `gap`, the slope that stands for that of a step at 0; its value does not matter."""
    width = WINDOW * (gap.detach().amax() - gap.detach().amin()).clamp_min(1e-6)
    return F.sigmoid(gap / width) + 0.01 * gap
