"""Logits from a network that ends in a sigmoid or a softmax, with gradients that can be used.

A probability of 1 - 1e-9 is 1 in float32, and the gradient through it is 0: an attack would fail and the model look
robust. So what went *into* the last activation is taken, by watching the operations while the network runs. That works for
Python networks, exported programs and TorchScript alike. Only where a network goes on computing with its probabilities
(say, takes the mean of two) are logits computed back from them, and those end where the probabilities do: at 1e-30, and
below 1 at 6e-8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from robustdx.errors import ModelError
from robustdx.tasks.protocol import Activation
from robustdx.tensors import Outputs

aten = torch.ops.aten
KINDS: dict[Any, Activation] = {aten.sigmoid.default: "sigmoid", aten.sigmoid_.default: "sigmoid", aten._softmax.default: "softmax"}

SMALLEST = 1e-30
"""Probabilities below this are taken for this: its logarithm is finite in float32."""
WIDEST = 4096
"""Activations with more values per image than this are gates or attention inside the network, not its outputs."""
CLOSE = {torch.bfloat16: 1e-2, torch.float16: 2e-3}
"""How far outputs may lie from the activation of what went into it; 1e-5 in float32."""


@dataclass(frozen=True)
class Seen:
    """One activation: what came out, what went in, and which it was."""

    p: Tensor
    z: Tensor
    kind: Activation


class Activations(TorchDispatchMode):
    """Remembers what went into every sigmoid and softmax while a network runs, and keeps their outputs off 0 and 1.

    The last is what keeps the gradient alive: the backward pass of the activation multiplies by p (1 - p), or p, and
    `logits_of` divides by it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[int, Seen] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        z: Any = args[0].clone() if func is aten.sigmoid_.default else args[0] if args else None
        out = func(*args, **(kwargs or {}))
        if func in KINDS and out.dim() > 0 and out[:1].numel() <= WIDEST:
            below_one = 1 - torch.finfo(out.dtype).eps / 2
            self._remember(Seen(out.clamp_(max(SMALLEST, torch.finfo(out.dtype).tiny), below_one), z, KINDS[func]))
        elif func is aten.cat.default:
            self._join(out, [self.seen.get(part.data_ptr()) for part in args[0]], *args[1:])
        return out

    def _join(self, out: Tensor, parts: list[Seen | None], dim: int = 0) -> None:
        """Several heads, or several batches, put together."""
        found = [part for part in parts if part is not None]
        if found and len(found) == len(parts) == sum(part.kind == found[0].kind for part in found):
            z = torch.cat([part.z for part in found], dim)
            if z.shape == out.shape:
                self._remember(Seen(out, z, found[0].kind))

    def _remember(self, seen: Seen) -> None:
        self.seen[seen.p.data_ptr()] = seen

    def before(self, outputs: Outputs) -> tuple[Tensor, Activation] | None:
        """What went into the activation that gave these outputs (or a reshaped part of whose these are), if one did."""
        seen = self.seen.get(outputs.data_ptr())
        if seen is None or not (outputs.is_contiguous() and seen.p.is_contiguous()) or outputs.numel() > seen.p.numel():
            return None
        whole = seen.z.sigmoid() if seen.kind == "sigmoid" else seen.z.softmax(-1)
        same = torch.allclose(whole.flatten()[: outputs.numel()], outputs.flatten(), rtol=0, atol=CLOSE.get(outputs.dtype, 1e-5))
        return (seen.z.reshape(-1)[: outputs.numel()].view_as(outputs), seen.kind) if same else None


class _Behind(torch.autograd.Function):
    """The value that went in, with a gradient that undoes what the activation's own backward pass will do to it."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, z: Tensor, kind: Activation) -> Tensor:
        ctx.save_for_backward(p)
        ctx.kind = kind
        return z.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (p,) = ctx.saved_tensors
        return grad / (p * (1 - p) if ctx.kind == "sigmoid" else p), None, None


def logits_of(outputs: Outputs, seen: Activations, activation: Activation) -> Outputs:
    """Logits whose `activation` gives the network's probabilities: from before its last activation, or computed back.

    Where a network ends in a sigmoid per class and the task has one answer, or the other way round, its probabilities are
    kept: p / sum(p) for the one answer, and each p by itself.

    Raises:
        ModelError: the outputs are not probabilities.
    """
    found = seen.before(outputs)
    if found is None:
        return _inverse(outputs.float(), activation)
    z, kind = found
    logits = _Behind.apply(outputs, z, kind).float()
    if outputs.shape[1] == 1 or kind == activation:
        return logits
    return F.logsigmoid(logits) if kind == "sigmoid" else logits - _others(logits)


def looks_like_probabilities(outputs: Outputs, seen: Activations) -> str:
    """Why outputs that are said to be logits seem to be probabilities; empty where they do not."""
    if (found := seen.before(outputs)) is not None:
        return f"the network ends in a {found[1]}"
    if outputs.shape[1] > 1 and bool((outputs >= 0).all()) and bool(((outputs.sum(1) - 1).abs() < 1e-4).all()):
        return "its outputs are positive and sum to 1"
    between = bool(((outputs >= 0) & (outputs <= 1)).all())
    activated = any(each.p.shape == outputs.shape for each in seen.seen.values())
    return "it computes probabilities on the way, and all its outputs lie between 0 and 1" if between and activated else ""


def _inverse(p: Outputs, activation: Activation) -> Outputs:
    low, high = (float(v) for v in p.detach().aminmax())
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise ModelError(
            f"outputs='probabilities' expects values in [0, 1], the network gives [{low:.3g}, {high:.3g}]: say outputs='logits'"
        )
    if activation == "softmax" and p.shape[1] > 1:
        return p.clamp_min(SMALLEST).log()
    return p.clamp_min(SMALLEST).log() - (1 - p).clamp_min(torch.finfo(torch.float32).eps / 2).log()


def _others(z: Outputs) -> Outputs:
    """log sum exp of all other outputs: z minus this is the logit of one class against the rest."""
    own = torch.eye(z.shape[1], dtype=torch.bool, device=z.device)
    return z[:, None, :].masked_fill(own, -float("inf")).logsumexp(2)
