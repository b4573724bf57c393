"""The floor: the same calls of the bare network, one after the other, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.contenders import cpu_seconds
from benchmarks.victims import Victim
from robustdx.models import DiagnosticModel


@dataclass
class Call:
    """One call of a network."""

    model: DiagnosticModel
    images: int
    grad: bool
    """Whether it was made so that a gradient can follow."""
    backward: int = 0
    """How many did: one for each rival in some attacks."""


@contextmanager
def recorded(victim: Victim) -> Iterator[list[Call]]:
    """Every call of the victim's networks inside the block."""
    calls: list[Call] = []
    hooks = [h for model in {victim.exact, victim.fast} for h in _hooks(model, calls)]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _hooks(model: DiagnosticModel, calls: list[Call]) -> Iterator[torch.utils.hooks.RemovableHandle]:
    def seen(network: nn.Module, args: tuple[Tensor], outputs: Tensor) -> None:
        call = Call(model, len(args[0]), args[0].requires_grad)
        calls.append(call)
        if outputs.requires_grad:
            outputs.register_hook(lambda grad: setattr(call, "backward", call.backward + 1))

    yield model.network.register_forward_hook(seen)


def replay(victim: Victim, calls: list[Call]) -> tuple[float, float]:
    """CPU and wall seconds of the same calls, on images that are normalised and converted already."""
    images = max((b.x for b in victim.batches), key=len)
    with torch.no_grad():
        most = max((call.images for call in calls), default=0)  # an attack may ask about many images for each of the batch
        images = images.repeat(-(-most // len(images)), 1, 1, 1)[:most].contiguous(memory_format=torch.channels_last)
        stock = {model: model.prepared(images) for model in {victim.exact, victim.fast}}
    cpu, wall = cpu_seconds(), time.perf_counter()
    for call in calls:
        z = stock[call.model][: call.images].detach().requires_grad_(call.grad)
        with torch.set_grad_enabled(call.grad):
            outputs = call.model.network(z)
        for more in range(call.backward - 1, -1, -1):
            torch.autograd.grad(outputs, z, torch.ones_like(outputs), retain_graph=more > 0)
    return cpu_seconds() - cpu, time.perf_counter() - wall
