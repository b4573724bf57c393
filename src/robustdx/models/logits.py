"""Logits from a network that ends in a sigmoid or a softmax, with gradients that can be used.

A probability of 1 - 1e-9 is 1 in float32, and the gradient through it is 0: an attack would fail and the model look
robust. So the value that went *into* the last activation is taken where it can be seen; only where it cannot (TorchScript)
are logits computed back from the probabilities.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from robustdx.errors import ModelError
from robustdx.tensors import Outputs

SIGMOIDS = {torch.sigmoid, torch.special.expit, Tensor.sigmoid, F.sigmoid, torch.ops.aten.sigmoid.default}
SOFTMAXES = {torch.softmax, Tensor.softmax, F.softmax, torch.ops.aten.softmax.int, torch.ops.aten._softmax.default}

SMALLEST = 1e-30
"""Probabilities below this are taken for this: its logarithm is finite in float32."""


class Activations(TorchFunctionMode):
    """Remembers what went into every sigmoid and softmax while a network runs."""

    def __init__(self, enabled: bool = True) -> None:
        super().__init__()
        self.enabled = enabled
        self.inputs: dict[int, tuple[Tensor, Tensor]] = {}

    def __enter__(self) -> Activations:
        if self.enabled:
            super().__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        if self.enabled:
            super().__exit__(*failure)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if (func in SIGMOIDS or func in SOFTMAXES) and isinstance(out, Tensor) and args:
            self.inputs[id(out)] = (out, args[0])
        return out

    def before(self, outputs: Outputs) -> Outputs | None:
        """What went into the activation that gave these outputs, if one did."""
        found = self.inputs.get(id(outputs))
        return None if found is None else found[1]


def logits_of(outputs: Outputs, seen: Activations, activation: str) -> Outputs:
    """Logits behind probabilities: seen before the last activation, or else the inverse of the activation.

    Raises:
        ModelError: the outputs are not probabilities.
    """
    logits = seen.before(outputs)
    if logits is not None:
        return logits
    if float(outputs.detach().min()) < -1e-3 or float(outputs.detach().max()) > 1 + 1e-3:
        raise ModelError(
            f"outputs='probabilities' expects values in [0, 1], the network gives [{float(outputs.min()):.3g}, {float(outputs.max()):.3g}]: say outputs='logits'"
        )
    p = outputs.float()
    if activation == "softmax" and p.shape[1] > 1:
        return p.clamp_min(SMALLEST).log()
    return p.clamp_min(SMALLEST).log() - (1 - p).clamp_min(torch.finfo(torch.float32).eps / 2).log()
