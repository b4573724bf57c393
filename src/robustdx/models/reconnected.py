"""A model whose gradient can be followed where its own is cut, wrong or gone."""

from __future__ import annotations

import torch

from robustdx.draws import Draws
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.models.forwards import straightened
from robustdx.models.reconnecting import reconnecting
from robustdx.tasks import Task
from robustdx.tensors import Images, Outputs


class Reconnected(DiagnosticModel):
    """The same answers as the model's, with a gradient through whatever has none (see `reconnecting`).

    An attack on this is BPDA (Athalye et al. 2018, section 4.1) on every operation that hides the gradient, found by itself. Programs that
    were compiled or exported do not say what they compute, and are as they are. Cost: the model's.
    """

    def __init__(self, model: DiagnosticModel) -> None:
        mean, std = model.mean.flatten().tolist(), model.std.flatten().tolist()
        super().__init__(model.network, model.task, size=model.size, mean=mean, std=std, outputs=model.outputs, resize=model.resize)
        self.model, self.order, self.dtype = model, model.order, model.dtype
        self.to(model.mean.device)
        self.training = model.training

    @property
    def passes(self) -> int:
        return self.model.passes

    def forward(self, x: Images, draws: Draws | None = None) -> Outputs:
        if not (torch.is_grad_enabled() and x.requires_grad):
            return self.model(x, draws)
        with reconnecting(self.model, x):
            outputs = self.model(x, draws)
        return straightened(outputs)

    def with_task(self, task: Task) -> Reconnected:
        return Reconnected(self.model.with_task(task))

    def in_precision(self, dtype: torch.dtype) -> Reconnected:
        return Reconnected(self.model.in_precision(dtype))
