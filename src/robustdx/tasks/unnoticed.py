"""A task seen by an adversary who must also pass a detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from robustdx.errors import PlanError
from robustdx.tasks.protocol import Activation, Task
from robustdx.tensors import Flags, Labels, Outputs, PerImage


@final
@dataclass(frozen=True)
class Unnoticed:
    """An image is fooled where the decision is wrong and the detector is silent: both, or it does not count.

    The last output is how far the detector's score lies above its alarm threshold (see `models.Watched`); those before it are the
    outputs of `decision`. The adversary climbs

        loss(outputs, y) - weight * max(excess, 0)                                                    (a penalty)
        -margin(outputs, y) where the decision is right, 1 / (1 + max(excess, 0)) where it is wrong   (selective)

    The selective one follows one gradient at a time: that of the decision until it is wrong, then that of the detector (Bryniarski et al.
    2022, "selective projected gradient descent"). It is bounded where the image is wrong, and larger there than where it is right, so that
    searches that compare losses prefer an image that is wrong; the direction is that of the gradient of the excess.
    """

    decision: Task
    """What the decision itself means."""
    weight: float = 1.0
    """How much of the loss one unit of excess costs."""
    selective: bool = False
    """Follow one gradient at a time in place of the sum of both."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            raise PlanError(f"weight must be a number of at least 0, got {self.weight:g}")

    @property
    def classes(self) -> tuple[str, ...]:
        return self.decision.classes

    @property
    def activation(self) -> Activation:
        return self.decision.activation

    @property
    def outputs(self) -> tuple[int, ...]:
        """One more than the task's own."""
        return tuple(k + 1 for k in self.decision.outputs)

    def excess(self, outputs: Outputs) -> PerImage:
        """How far the score lies above the threshold; an alarm is raised above 0."""
        return outputs[:, -1]

    def noticed(self, outputs: Outputs) -> Flags:
        """Whether the detector raises an alarm. A score that is not a number does."""
        return ~(self.excess(outputs) <= 0)

    def require_labels(self, y: Labels) -> None:
        self.decision.require_labels(y)

    def probabilities(self, outputs: Outputs) -> Outputs:
        return self.decision.probabilities(outputs[:, :-1])

    def decide(self, outputs: Outputs) -> Labels:
        return self.decision.decide(outputs[:, :-1])

    def loss(self, outputs: Outputs, y: Labels) -> PerImage:
        over = self.excess(outputs).clamp_min(0)
        if not self.selective:
            return self.decision.loss(outputs[:, :-1], y) - self.weight * over
        margin = self.decision.margin(outputs[:, :-1], y)
        return torch.where(margin >= 0, -margin, 1 / (1 + over))

    def margin(self, outputs: Outputs, y: Labels) -> PerImage:
        """The larger of the two things that are still to be done; below 0 both are."""
        return torch.maximum(self.decision.margin(outputs[:, :-1], y), self.excess(outputs))

    def margins(self, outputs: Outputs, y: Labels) -> Outputs:
        return self.margin(outputs, y)[:, None]

    def errors(self, outputs: Outputs, y: Labels) -> PerImage:
        """The share of decisions that are wrong, where no alarm is raised; 0 where one is."""
        return self.decision.errors(outputs[:, :-1], y) * ~self.noticed(outputs)

    def fooled(self, outputs: Outputs, y: Labels) -> Flags:
        """Whether any decision is wrong and no alarm is raised."""
        return self.decision.fooled(outputs[:, :-1], y) & ~self.noticed(outputs)

    def confidence(self, outputs: Outputs) -> PerImage:
        return self.decision.confidence(outputs[:, :-1])

    def divergence(self, outputs: Outputs, reference: Outputs) -> PerImage:
        return self.decision.divergence(outputs[:, :-1], reference[:, :-1])
