"""One of several classes."""

from dataclasses import dataclass
from typing import final

from torch.nn import functional as F

from robustdx.tasks.protocol import Activation, require_classes, require_indices
from robustdx.tensors import Classes, Flags, Outputs, PerImage


@final
@dataclass(frozen=True)
class MultiClass:
    """Exactly one of K classes; the network has K outputs."""

    classes: tuple[str, ...]
    """Names of the classes, in the order of the outputs."""

    def __post_init__(self) -> None:
        require_classes(self.classes, 2)

    @property
    def activation(self) -> Activation:
        return "softmax"

    @property
    def outputs(self) -> tuple[int, ...]:
        return (len(self.classes),)

    def require_labels(self, y: Classes) -> None:
        require_indices(y, self.classes)

    def scores(self, outputs: Outputs) -> Outputs:
        """(B, K): the largest is decided."""
        return outputs

    def log_probabilities(self, outputs: Outputs) -> Outputs:
        return outputs.log_softmax(1)

    def probabilities(self, outputs: Outputs) -> Outputs:
        return outputs.softmax(1)

    def decide(self, outputs: Outputs) -> Classes:
        return outputs.argmax(1)

    def loss(self, outputs: Outputs, y: Classes) -> PerImage:
        return F.cross_entropy(outputs, y, reduction="none")

    def margin(self, outputs: Outputs, y: Classes) -> PerImage:
        return self.margins(outputs, y).amin(1)

    def margins(self, outputs: Outputs, y: Classes) -> Outputs:
        own = outputs.gather(1, y[:, None])
        return (own - outputs).scatter(1, y[:, None], float("inf"))

    def errors(self, outputs: Outputs, y: Classes) -> PerImage:
        return self.fooled(outputs, y).to(outputs.dtype)

    def fooled(self, outputs: Outputs, y: Classes) -> Flags:
        return outputs.argmax(1) != y

    def confidence(self, outputs: Outputs) -> PerImage:
        return outputs.softmax(1).amax(1)

    def divergence(self, outputs: Outputs, reference: Outputs) -> PerImage:
        p, log_p, log_q = reference.softmax(1), reference.log_softmax(1), outputs.log_softmax(1)
        return (p * (log_p - log_q)).sum(1)
