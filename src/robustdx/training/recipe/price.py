"""What a step of training costs, counted, and how fast this machine is, measured."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images
from robustdx.threats import Threat
from robustdx.training import OBJECTIVES
from robustdx.training.loaded import Training
from robustdx.training.precision import computing

COUNTED = 2
"""Images of the batch whose operations are counted."""
DRAWN = 4
"""Batches over which objectives are averaged that draw their number of steps."""
TIMED = 5
"""Steps that are timed; their median counts."""


def flop(training: Training, objective: Mapping[str, Any], size: tuple[int, int], threat: Threat) -> float:
    """Floating-point operations of one step, forward and back, for each image shown: counted, and the same on every machine."""
    model = _copy(training)
    x, y = _images(training, COUNTED, size)
    with _Counter() as counter:
        for n in range(DRAWN):
            loss = OBJECTIVES.parse(objective)(model, x, y, threat, Draws(0, tuple(f"{i}" for i in range(COUNTED)), (str(n),)))
            loss.mean().backward()
            model.zero_grad()
    return counter.flop / (COUNTED * DRAWN)


def speed(training: Training, size: tuple[int, int]) -> float:
    """Floating-point operations a second of plain steps with the plan's batch, on this machine as it is now."""
    model, batch = _copy(training), training.plan.batch
    x, y = _images(training, batch, size)
    draws, seconds = Draws(0, tuple(map(str, range(batch)))), []
    work = batch * flop(training, {"name": "standard"}, size, training.plan.adversary)
    for _ in range(TIMED):
        began = time.monotonic()
        with computing(model, training.precision):
            loss = OBJECTIVES.parse({"name": "standard"})(model, x, y, training.plan.adversary, draws)
        loss.mean().backward()
        seconds.append(time.monotonic() - began)
    return work / statistics.median(seconds)


class _Counter(TorchDispatchMode):
    """Counts multiplications and additions of products and convolutions, forward and back. (torch's own counter hooks into modules,
    which gradients to an input alone do not bear.)"""

    def __init__(self) -> None:
        super().__init__()
        self.flop = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        self.flop += count(*args, **(kwargs or {}), out_val=out) if count else 0
        return out


def _copy(training: Training) -> DiagnosticModel:
    return copy.deepcopy(training.model).to(training.device).to(memory_format=torch.channels_last).train()


def _images(training: Training, count: int, size: tuple[int, int]) -> tuple[Images, torch.Tensor]:
    """Grey noise with labels of the data: what is computed does not depend on what is seen."""
    examples = (list(training.train.examples) * count)[:count]
    y = torch.tensor([e.label for e in examples])
    x = torch.rand(count, training.model.channels, *size, generator=torch.Generator().manual_seed(0))
    return x.to(training.device).contiguous(memory_format=torch.channels_last), y.to(training.device)
