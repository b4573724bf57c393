"""A defence from outside that is more than a purifier: a module that answers in place of the model."""

from __future__ import annotations

import inspect

import torch
from torch import nn

from robustdx.draws import Draws
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.tasks import Task
from robustdx.tensors import Images, Outputs, require_pixels


class Guarded(DiagnosticModel):
    """Whatever somebody made of a model: pixels in [0, 1] in, (B, K) logits out; a parameter called `draws` is handed the draws.

    It computes in float32 and is not copied: what it holds (a store of answers, a counter) is what is audited. Cost: counted as one
    pass for each call, since nobody can see inside.
    """

    def __init__(self, module: nn.Module, undefended: DiagnosticModel) -> None:
        channels = undefended.channels
        super().__init__(module, undefended.task, size=undefended.size, mean=(0.0,) * channels, std=(1.0,) * channels)
        self.undefended = undefended
        self.to(undefended.mean.device)
        self.drawing = isinstance(module, DiagnosticModel) or "draws" in inspect.signature(module.forward).parameters
        self.training = undefended.training

    def forward(self, x: Images, draws: Draws | None = None) -> Outputs:
        if not torch.compiler.is_compiling():
            require_pixels(x)
        outputs = self.network(x, draws=draws) if self.drawing else self.network(x)
        return self.checked(outputs).float()

    def with_task(self, task: Task) -> Guarded:
        return Guarded(self.network, self.undefended.with_task(task))

    def in_precision(self, dtype: torch.dtype) -> Guarded:
        return self
