"""A model whose gradient can be followed where its own is cut, wrong or gone."""

from __future__ import annotations

import torch

from robustdx.draws import Draws
from robustdx.models.forwards import straightened
from robustdx.models.reconnecting import reconnecting
from robustdx.models.wrapper import Wrapper
from robustdx.tasks import Task
from robustdx.tensors import Images, Outputs


class Reconnected(Wrapper):
    """The same answers as the model's, with a gradient through whatever has none (see `reconnecting`).

    An attack on this is BPDA (Athalye et al. 2018, section 4.1) on every operation that hides the gradient, found by itself. Programs that
    were compiled or exported do not say what they compute, and are as they are. Cost: the model's.
    """

    def forward(self, x: Images, draws: Draws | None = None) -> Outputs:
        if not (torch.is_grad_enabled() and x.requires_grad):
            return self.model(x, draws)
        seen = x.view_as(x)
        seen.register_hook(_finite)
        with reconnecting(self.model, seen):
            outputs = self.model(seen, draws)
        return straightened(outputs)

    def with_task(self, task: Task) -> Reconnected:
        return Reconnected(self.model.with_task(task))

    def in_precision(self, dtype: torch.dtype) -> Reconnected:
        return Reconnected(self.model.in_precision(dtype))


def _finite(gradient: Images) -> Images:
    """Where a pixel met an infinite slope on its way, it has none that could be followed; the others keep theirs."""
    return gradient.nan_to_num(0, 0, 0)
