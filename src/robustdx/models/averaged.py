"""A stochastic model seen through the mean of several draws."""

from __future__ import annotations

import logging

import torch

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.models.wrapper import Wrapper
from robustdx.tasks import Task
from robustdx.tensors import Images, Outputs

log = logging.getLogger(__name__)


class Averaged(Wrapper):
    """The mean of a stochastic model's logits over independent draws (expectation over transformation, Athalye et al. 2018, section 4.2).

    An attack on this follows the gradient of what the model answers on average, and not of one draw. Cost: `samples` passes of the
    model for each pass, counted as such. On a model that answers the same whatever it draws, one sample is all there is to see: that is
    noted in the log, and one pass is made.
    """

    def __init__(self, model: DiagnosticModel, samples: int = 16) -> None:
        if samples < 1:
            raise PlanError(f"samples must be at least 1, got {samples}")
        super().__init__(model)
        self.samples = samples
        if samples > 1 and not is_stochastic(model):
            log.warning("the model answers the same whatever it draws: one sample in place of %d", samples)
            self.samples = 1

    @property
    def passes(self) -> int:
        return self.samples * self.model.passes

    def forward(self, x: Images, draws: Draws | None = None) -> Outputs:
        given = draws or Draws(0, tuple(str(i) for i in range(len(x))))
        if self.samples == 1:
            return self.model(x, given)
        total = self.model(x, given.fork("sample", 0))
        for i in range(1, self.samples):
            total = total + self.model(x, given.fork("sample", i))
        return total / self.samples

    def with_task(self, task: Task) -> Averaged:
        return self._around(self.model.with_task(task))

    def in_precision(self, dtype: torch.dtype) -> Averaged:
        return self._around(self.model.in_precision(dtype))

    def _around(self, model: DiagnosticModel) -> Averaged:
        """The same average of a relative of the model, which need not be tried again."""
        other = Averaged(model, 1)
        other.samples = self.samples
        return other


def is_stochastic(model: DiagnosticModel) -> bool:
    """Whether two draws give two answers on one image of noise. Models without a size of their own are taken to be."""
    if model.size is None:
        return True
    draws = Draws(0, ("trial",))
    x = draws.uniform(0, 1, like=torch.empty(1, model.channels, *model.size, device=model.mean.device))
    training = model.training
    with torch.no_grad():
        one, other = (model.eval()(x, draws.fork("trial", i)) for i in (0, 1))
    model.train(training)
    return not torch.equal(one, other)
