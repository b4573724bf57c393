"""A task seen by an adversary who is after one particular kind of answer."""

from dataclasses import dataclass
from typing import final

import torch

from robustdx.tasks.goals.protocol import Goal
from robustdx.tasks.protocol import Activation, Task
from robustdx.tensors import Flags, Labels, Outputs, PerImage


@final
@dataclass(frozen=True)
class Aimed:
    """The same outputs, decisions and labels; an image is fooled where the goal is reached, and only there.

    Every attack takes up a goal by being handed a model with this task: `model.with_task(Aimed(model.task, Finding("Effusion")))`.
    `errors` is 1 where `margin` is below 0, and 0 elsewhere. Where the goal cannot be asked of an image (a finding that is not
    there cannot be hidden) its margin is infinite and its loss 0: it is never beaten.
    """

    task: Task
    goal: Goal

    def __post_init__(self) -> None:
        self.goal.require(self.task)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.task.classes

    @property
    def activation(self) -> Activation:
        return self.task.activation

    @property
    def outputs(self) -> tuple[int, ...]:
        return self.task.outputs

    def require_labels(self, y: Labels) -> None:
        self.task.require_labels(y)

    def probabilities(self, outputs: Outputs) -> Outputs:
        return self.task.probabilities(outputs)

    def decide(self, outputs: Outputs) -> Labels:
        return self.task.decide(outputs)

    def labels(self, y: Labels, decided: Labels) -> Labels:
        """The labels to aim by, from the true ones and the decisions on the images as they came."""
        return self.goal.labels(self.task, y, decided)

    def asked(self, y: Labels) -> Flags:
        """Whether the goal can be asked of an image with this label."""
        nothing = torch.zeros(len(y), self.outputs[-1], device=y.device)
        return self.margin(nothing, y).isfinite()

    def loss(self, outputs: Outputs, y: Labels) -> PerImage:
        return self.goal.loss(self.task, outputs, y)

    def margin(self, outputs: Outputs, y: Labels) -> PerImage:
        """How far the goal is from being reached, in logits; below 0 it is."""
        return self.margins(outputs, y).amin(1)

    def margins(self, outputs: Outputs, y: Labels) -> Outputs:
        return self.goal.margins(self.task, outputs, y)

    def errors(self, outputs: Outputs, y: Labels) -> PerImage:
        return self.fooled(outputs, y).to(outputs.dtype)

    def fooled(self, outputs: Outputs, y: Labels) -> Flags:
        """Whether the goal is reached."""
        return self.margin(outputs, y) < 0

    def confidence(self, outputs: Outputs) -> PerImage:
        return self.task.confidence(outputs)

    def divergence(self, outputs: Outputs, reference: Outputs) -> PerImage:
        return self.task.divergence(outputs, reference)
