"""A model beside a detector: itself a model, so that every attack can be made against both."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.models.wrapper import Wrapper
from robustdx.tasks import Task, Unnoticed
from robustdx.tensors import Images, Outputs, PerImage, l2_norm, per_image

TINY = 1e-12


class Detector(Protocol):
    """Images in, a score for each out, (B,): the higher, the more suspicious. What is random comes from the draws of each image."""

    @property
    def passes(self) -> int:
        """How many passes through the model one score costs."""
        ...

    def __call__(self, model: DiagnosticModel, x: Images, draws: Draws) -> PerImage: ...


class Watched(Wrapper):
    """A model whose images a detector looks at too: its outputs, and (score - threshold) / unit behind them.

    Its task is `Unnoticed`: an attack on this looks for an image that is wrong and raises no alarm, and needs no change for it. `unit`
    says how large a difference of scores is: their spread on clean images. Under `orthogonal`, where the gradients of the decision and of
    the detector point against each other, each loses its part along the other, and both count alike (after Bryniarski et al. 2022,
    "orthogonal projected gradient descent", who follow one of the two at a time). Cost: a pass of the model, and the detector's.
    """

    def __init__(
        self,
        model: DiagnosticModel,
        detector: Detector,
        threshold: float,
        unit: float = 1.0,
        *,
        weight: float = 1.0,
        selective: bool = False,
        orthogonal: bool = False,
    ) -> None:
        if not unit > 0:
            raise PlanError(f"unit must be above 0 (it is the spread of the scores on clean images), got {unit:g}")
        super().__init__(model, Unnoticed(model.task, weight, selective))
        self.detector, self.threshold, self.unit, self.orthogonal = detector, threshold, unit, orthogonal

    def forward(self, x: Images, draws: Draws | None = None) -> Outputs:
        """Logits of the model, and the excess of the score in the last column."""
        given = draws or Draws(0, tuple(str(i) for i in range(len(x))))
        for_model, for_detector = _Apart.apply(x) if self.orthogonal else (x, x)
        score = self.detector(self.model, for_detector, given.fork("detector"))
        return torch.cat((self.model(for_model, draws), ((score - self.threshold) / self.unit)[:, None]), dim=1)

    @property
    def passes(self) -> int:
        return self.model.passes * (1 + self.detector.passes)

    def with_task(self, task: Task) -> Watched:
        """The same outputs, with the excess behind them, seen under another task."""
        return self._around(self.model, task)

    def in_precision(self, dtype: torch.dtype) -> Watched:
        """A copy whose network computes in `dtype`, for the detector too."""
        return self._around(self.model.in_precision(dtype), self.task)

    def _around(self, model: DiagnosticModel, task: Task) -> Watched:
        other = Watched(model, self.detector, self.threshold, self.unit, orthogonal=self.orthogonal)
        other.task = task
        return other


class _Apart(torch.autograd.Function):
    """An image for two readers, whose gradients are made not to work against each other on the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.clone(), x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        one, other = (g / per_image(l2_norm(g).clamp_min(TINY), g) for g in grads)
        along = (one * other).sum((1, 2, 3)).clamp_max(0)
        return one - per_image(along, one) * other + other - per_image(along, one) * one
