"""A model seen through the mean of its answers around an image."""

from __future__ import annotations

import torch

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.models.wrapper import Wrapper
from robustdx.tasks import Task
from robustdx.tensors import Images, Outputs


class Jittered(Wrapper):
    """The mean logits over images with a little noise: f(x) = mean_i model(clip(x + n_i)), n_i uniform in [-reach, reach].

    Where a model answers in small steps, or draws from a seed that it makes of the image, its own gradient says nothing about what lies a
    grey level further on; that of the mean does. Cost: `samples` passes of the model for each pass.
    """

    def __init__(self, model: DiagnosticModel, reach: float, samples: int = 8) -> None:
        if samples < 1 or not reach > 0:
            raise PlanError(f"samples must be at least 1 and reach above 0, got samples {samples} and reach {reach:g}")
        super().__init__(model)
        self.reach, self.samples = reach, samples

    @property
    def passes(self) -> int:
        return self.samples * self.model.passes

    def forward(self, x: Images, draws: Draws | None = None) -> Outputs:
        given = draws or Draws(0, tuple(str(i) for i in range(len(x))))
        total = self._around(x, given.fork("jitter", 0))
        for i in range(1, self.samples):
            total = total + self._around(x, given.fork("jitter", i))
        return total / self.samples

    def _around(self, x: Images, draws: Draws) -> Outputs:
        near = x + draws.uniform(-self.reach, self.reach, like=x)
        return self.model(near.clamp(0, 1), draws)

    def with_task(self, task: Task) -> Jittered:
        return Jittered(self.model.with_task(task), self.reach, self.samples)

    def in_precision(self, dtype: torch.dtype) -> Jittered:
        return Jittered(self.model.in_precision(dtype), self.reach, self.samples)
