"""Several findings, each present or not."""

from dataclasses import dataclass
from typing import final

import torch
from torch.nn import functional as F

from robustdx.errors import DataError
from robustdx.tasks.protocol import Activation, require_classes
from robustdx.tensors import Flags, Labels, Outputs, PerImage


@final
@dataclass(frozen=True)
class MultiLabel:
    """K findings at once; the network has K outputs, each a logit. A label of NaN was not annotated and counts nowhere."""

    classes: tuple[str, ...]
    """Names of the findings, in the order of the outputs."""

    def __post_init__(self) -> None:
        require_classes(self.classes, 1)

    @property
    def activation(self) -> Activation:
        return "sigmoid"

    @property
    def outputs(self) -> tuple[int, ...]:
        return (len(self.classes),)

    def require_labels(self, y: Labels) -> None:
        if y.dim() != 2 or y.shape[1] != len(self.classes):
            raise DataError(f"expected labels of shape (B, {len(self.classes)}), got {tuple(y.shape)}: one column per finding")
        if not bool(((y == 0) | (y == 1) | y.isnan()).all()):
            raise DataError("expected labels 0, 1 or NaN (not annotated), got other values: check the label columns")

    def probabilities(self, outputs: Outputs) -> Outputs:
        return outputs.sigmoid()

    def decide(self, outputs: Outputs) -> Labels:
        return (outputs > 0).float()

    def loss(self, outputs: Outputs, y: Labels) -> PerImage:
        """Mean binary cross-entropy over the annotated findings."""
        each = F.binary_cross_entropy_with_logits(outputs, y.nan_to_num(), reduction="none")
        return _mean(each, ~y.isnan())

    def margin(self, outputs: Outputs, y: Labels) -> PerImage:
        return self.margins(outputs, y).amin(1)

    def margins(self, outputs: Outputs, y: Labels) -> Outputs:
        return torch.where(y.isnan(), float("inf"), (2 * y.nan_to_num() - 1) * outputs)  # NaN would poison the gradient

    def errors(self, outputs: Outputs, y: Labels) -> PerImage:
        wrong = (self.decide(outputs) != y) & ~y.isnan()
        return _mean(wrong.to(outputs.dtype), ~y.isnan())

    def fooled(self, outputs: Outputs, y: Labels) -> Flags:
        """Whether any annotated finding is decided wrongly; `errors` says how many."""
        return self.errors(outputs, y) > 0

    def confidence(self, outputs: Outputs) -> PerImage:
        p = outputs.sigmoid()
        return torch.maximum(p, 1 - p).mean(1)

    def divergence(self, outputs: Outputs, reference: Outputs) -> PerImage:
        """Sum over the findings of the divergence between two Bernoulli distributions."""
        present = reference.sigmoid() * (F.logsigmoid(reference) - F.logsigmoid(outputs))
        absent = (-reference).sigmoid() * (F.logsigmoid(-reference) - F.logsigmoid(-outputs))
        return (present + absent).sum(1)


def _mean(values: Outputs, annotated: Outputs) -> PerImage:
    """Mean over the annotated findings; 0 for an image without any. `where` and not a product: inf * 0 is not 0."""
    return torch.where(annotated, values, 0).sum(1) / annotated.sum(1).clamp_min(1)
