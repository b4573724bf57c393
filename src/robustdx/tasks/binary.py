"""One finding, present or not."""

from dataclasses import dataclass
from math import log
from typing import final

import torch
from torch.nn import functional as F

from robustdx.errors import PlanError
from robustdx.tasks.protocol import Activation, require_classes, require_indices
from robustdx.tensors import Classes, Flags, Outputs, PerImage


@final
@dataclass(frozen=True)
class Binary:
    """Two classes; the network has one logit (of the second class) or two outputs.

    Two outputs are read as one logit, their difference: cross-entropy on two outputs and on their difference is the same
    number, so every method sees a single case.
    """

    classes: tuple[str, ...] = ("negative", "positive")
    """(negative, positive)."""
    threshold: float = 0.5
    """Probability above which the positive class is decided: the operating point."""

    def __post_init__(self) -> None:
        require_classes(self.classes, 2)
        if len(self.classes) != 2:
            raise PlanError(f"a binary task has two classes, got {len(self.classes)} ({', '.join(self.classes)}): use multiclass")
        if not 0 < self.threshold < 1:
            raise PlanError(f"threshold must lie between 0 and 1, got {self.threshold:g}")

    @property
    def activation(self) -> Activation:
        return "softmax"

    @property
    def outputs(self) -> tuple[int, ...]:
        return (1, 2)

    def require_labels(self, y: Classes) -> None:
        require_indices(y, self.classes)

    def logit(self, outputs: Outputs) -> PerImage:
        """The logit of the positive class."""
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]

    def scores(self, outputs: Outputs) -> Outputs:
        """(B, 2): the larger is decided. 0, and the logit above the operating point."""
        above = self._above(outputs)
        return torch.stack((torch.zeros_like(above), above), dim=1)

    def log_probabilities(self, outputs: Outputs) -> Outputs:
        z = self.logit(outputs)
        return F.logsigmoid(torch.stack((-z, z), dim=1))

    def probabilities(self, outputs: Outputs) -> Outputs:
        z = self.logit(outputs)
        return torch.stack((torch.sigmoid(-z), torch.sigmoid(z)), dim=1)

    def decide(self, outputs: Outputs) -> Classes:
        return (self._above(outputs) > 0).long()

    def loss(self, outputs: Outputs, y: Classes) -> PerImage:
        return F.softplus(-_sign(y) * self.logit(outputs))

    def margin(self, outputs: Outputs, y: Classes) -> PerImage:
        return _sign(y) * self._above(outputs)

    def margins(self, outputs: Outputs, y: Classes) -> Outputs:
        return self.margin(outputs, y)[:, None]

    def errors(self, outputs: Outputs, y: Classes) -> PerImage:
        return self.fooled(outputs, y).to(outputs.dtype)

    def fooled(self, outputs: Outputs, y: Classes) -> Flags:
        return self.decide(outputs) != y

    def confidence(self, outputs: Outputs) -> PerImage:
        return self.probabilities(outputs).gather(1, self.decide(outputs)[:, None])[:, 0]

    def divergence(self, outputs: Outputs, reference: Outputs) -> PerImage:
        z, r = self.logit(outputs), self.logit(reference)
        present = torch.sigmoid(r) * (F.logsigmoid(r) - F.logsigmoid(z))
        return present + torch.sigmoid(-r) * (F.logsigmoid(-r) - F.logsigmoid(-z))

    def _above(self, outputs: Outputs) -> PerImage:
        return self.logit(outputs) - log(self.threshold / (1 - self.threshold))


def _sign(y: Classes) -> PerImage:
    return 2 * y.float() - 1
