"""Grades: classes with an order."""

from dataclasses import dataclass
from typing import final

import torch
from torch.nn import functional as F

from robustdx.tasks.protocol import Activation, require_classes, require_indices
from robustdx.tensors import Classes, Flags, Outputs, PerImage

CLOSEST = 1e-6
"""Steps nearer than this are taken for this far apart: the logarithm of the grade between them is finite then."""


@final
@dataclass(frozen=True)
class Ordinal:
    """Exactly one of K grades, 0 to K - 1, from mild to severe; the network has K outputs, read with a softmax.

    With `cumulative`, it has K - 1 logits z_k instead, each of "the grade is above k" (ordinal regression; Niu et al. 2016).
    A grade is above k only if it is above all lower ones, so the running minimum c_k = min(z_0 .. z_k) is what is read: the
    decision is the number of c_k above 0, and P(y = k) = sigmoid(c_{k-1}) - sigmoid(c_k).
    """

    classes: tuple[str, ...]
    """Names of the grades, from the lowest to the highest."""
    cumulative: bool = False
    """Whether the network has K - 1 logits, one for each step between two grades."""

    def __post_init__(self) -> None:
        require_classes(self.classes, 2)

    @property
    def activation(self) -> Activation:
        return "sigmoid" if self.cumulative else "softmax"

    @property
    def outputs(self) -> tuple[int, ...]:
        return (len(self.classes) - self.cumulative,)

    def require_labels(self, y: Classes) -> None:
        require_indices(y, self.classes)

    def scores(self, outputs: Outputs) -> Outputs:
        """(B, K): the largest is decided. The outputs, or the sums c_0 + .. + c_{k-1}, which rise as long as c_k is above 0."""
        return F.pad(outputs.cummin(1).values.cumsum(1), (1, 0)) if self.cumulative else outputs

    def probabilities(self, outputs: Outputs) -> Outputs:
        if not self.cumulative:
            return outputs.softmax(1)
        above = outputs.cummin(1).values.sigmoid()
        return F.pad(above, (1, 0), value=1.0) - F.pad(above, (0, 1))

    def log_probabilities(self, outputs: Outputs) -> Outputs:
        """With `cumulative`, from sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))."""
        if not self.cumulative:
            return outputs.log_softmax(1)
        c = outputs.cummin(1).values
        between = (-torch.expm1((c[:, 1:] - c[:, :-1]).clamp_max(-CLOSEST))).log()
        return F.pad(F.logsigmoid(c), (1, 0)) + F.pad(F.logsigmoid(-c), (0, 1)) + F.pad(between, (1, 1))

    def decide(self, outputs: Outputs) -> Classes:
        return self.scores(outputs).argmax(1)

    def grades_off(self, outputs: Outputs, y: Classes) -> Classes:
        """How many grades the decision lies above y; below 0 where it lies under it."""
        return self.decide(outputs) - y

    def loss(self, outputs: Outputs, y: Classes) -> PerImage:
        """Cross-entropy; with `cumulative` its sum over the steps, so that a grade costs the more the further it is away."""
        if not self.cumulative:
            return F.cross_entropy(outputs, y, reduction="none")
        above = (y[:, None] > torch.arange(outputs.shape[1], device=y.device)).to(outputs.dtype)
        return F.binary_cross_entropy_with_logits(outputs, above, reduction="none").sum(1)

    def margin(self, outputs: Outputs, y: Classes) -> PerImage:
        return self.margins(outputs, y).amin(1)

    def margins(self, outputs: Outputs, y: Classes) -> Outputs:
        """One column for each grade, in order, so that those at least k grades away are columns of their own."""
        scores = self.scores(outputs)
        return (scores.gather(1, y[:, None]) - scores).scatter(1, y[:, None], float("inf"))

    def errors(self, outputs: Outputs, y: Classes) -> PerImage:
        return self.fooled(outputs, y).to(outputs.dtype)

    def fooled(self, outputs: Outputs, y: Classes) -> Flags:
        return self.decide(outputs) != y

    def confidence(self, outputs: Outputs) -> PerImage:
        return self.probabilities(outputs).gather(1, self.decide(outputs)[:, None])[:, 0]

    def divergence(self, outputs: Outputs, reference: Outputs) -> PerImage:
        p = self.probabilities(reference)
        return (p * (self.log_probabilities(reference) - self.log_probabilities(outputs))).sum(1)
