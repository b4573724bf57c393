"""An adversary who wants one particular answer."""

from dataclasses import dataclass
from typing import final

from robustdx.tasks.protocol import Activation, Task
from robustdx.tensors import Flags, Labels, Outputs, PerImage


@final
@dataclass(frozen=True)
class Targeted:
    """The same outputs, seen by an adversary who wants the decision y: here the label is the target, not the truth.

    Every attack becomes targeted by being handed a model with this task (`model.with_task(Targeted(model.task))`).
    """

    task: Task

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

    def loss(self, outputs: Outputs, y: Labels) -> PerImage:
        return -self.task.loss(outputs, y)

    def margin(self, outputs: Outputs, y: Labels) -> PerImage:
        """How far the decision is from being the target; below 0 it is the target."""
        return -self.task.margin(outputs, y)

    def margins(self, outputs: Outputs, y: Labels) -> Outputs:
        return self.margin(outputs, y)[:, None]

    def errors(self, outputs: Outputs, y: Labels) -> PerImage:
        """The share of decisions that are as the adversary wants them."""
        return 1 - self.task.errors(outputs, y)

    def fooled(self, outputs: Outputs, y: Labels) -> Flags:
        """Whether every decision is the target."""
        return ~self.task.fooled(outputs, y)

    def confidence(self, outputs: Outputs) -> PerImage:
        return self.task.confidence(outputs)

    def divergence(self, outputs: Outputs, reference: Outputs) -> PerImage:
        return self.task.divergence(outputs, reference)
