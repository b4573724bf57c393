"""Plain training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.attacks import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel
from robustdx.tasks import Task
from robustdx.tensors import Images, Labels, Outputs, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.protocol import Passes, lowered


@final
@dataclass(frozen=True, kw_only=True)
class Standard:
    """The task's loss on the images as they are, without an adversary.

    Cost per image: one forward and one backward pass.
    """

    label_smoothing: float = 0.0
    """Share of the label that is spread evenly over all classes (Szegedy et al. 2016, section 7); 0 trusts every label."""

    needs_eps: ClassVar[bool] = False
    passes: ClassVar[Passes] = Passes(0, 2)

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise PlanError(f"label_smoothing must be at least 0 and below 1, got {self.label_smoothing:g}")

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        return x

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        outputs = model(x_adv, draws)
        loss = model.task.loss(outputs, y)
        if self.label_smoothing == 0:
            return loss
        return (1 - self.label_smoothing) * loss + self.label_smoothing * _any_label(model.task, outputs, y)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)


def _any_label(task: Task, outputs: Outputs, y: Labels) -> PerImage:
    """The mean loss over all labels that an image could have had; each finding on its own where there are several."""
    if y.is_floating_point():
        return (task.loss(outputs, y) + task.loss(outputs, 1 - y)) / 2
    return torch.stack([task.loss(outputs, torch.full_like(y, k)) for k in range(len(task.classes))]).mean(0)
