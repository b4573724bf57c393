"""What a task is: the meaning of a network's outputs and of a label."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor

from robustdx.errors import DataError, ModelError
from robustdx.tensors import Flags, Labels, Outputs, PerImage

Activation = Literal["sigmoid", "softmax"]


class Task(Protocol):
    """Gives a value for each image, shape (B,); attacks never look inside.

    Outputs are logits of shape (B, K); `DiagnosticModel` turns probabilities into logits before a task sees them.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """What the decisions are called: class names, findings, or (negative, positive)."""
        ...

    @property
    def activation(self) -> Activation:
        """What turns this task's logits into probabilities."""
        ...

    @property
    def outputs(self) -> tuple[int, ...]:
        """How many outputs a network may have for this task."""
        ...

    def require_labels(self, y: Labels) -> None:
        """Refuse labels that this task cannot read (DataError)."""
        ...

    def probabilities(self, outputs: Outputs) -> Outputs:
        """(B, K) logits as (B, classes) probabilities."""
        ...

    def decide(self, outputs: Outputs) -> Labels:
        """The decision, in the form of a label."""
        ...

    def loss(self, outputs: Outputs, y: Labels) -> PerImage:
        """What training lowers and an attack climbs."""
        ...

    def margin(self, outputs: Outputs, y: Labels) -> PerImage:
        """How far the weakest right decision is from turning, in logits; below 0 it is wrong."""
        ...

    def margins(self, outputs: Outputs, y: Labels) -> Outputs:
        """(B, R): the margin against each rival, each other class or each finding; infinite where there is none.

        `margin` is the least of them; their order is that of the classes.
        """
        ...

    def errors(self, outputs: Outputs, y: Labels) -> PerImage:
        """The share of an image's decisions that are wrong, in [0, 1]: 0 or 1 where there is one decision."""
        ...

    def fooled(self, outputs: Outputs, y: Labels) -> Flags:
        """Whether any decision is wrong."""
        ...

    def confidence(self, outputs: Outputs) -> PerImage:
        """Probability of the decision; its mean where there are several."""
        ...

    def divergence(self, outputs: Outputs, reference: Outputs) -> PerImage:
        """Kullback-Leibler divergence KL(reference || outputs) of the predicted distributions, in nats."""
        ...


class OneOfSeveral(Task, Protocol):
    """A task with one decision among several classes: binary, multi-class, grades."""

    def scores(self, outputs: Outputs) -> Outputs:
        """(B, K): a score for each class, in logits; the largest is decided."""
        ...

    def log_probabilities(self, outputs: Outputs) -> Outputs:
        """(B, K), with a gradient where the probabilities themselves have none left."""
        ...


def plain(task: Task) -> Task:
    """The task below an adversary's aim (`Targeted`, `Aimed`), whose loss says how well outputs agree with a label."""
    while (inner := getattr(task, "task", None)) is not None:
        task = inner
    return task


def require_classes(classes: tuple[str, ...], fewest: int) -> None:
    """Refuse too few names, or two that are the same."""
    if len(classes) < fewest or len(set(classes)) < len(classes):
        raise DataError(f"expected at least {fewest} different class names, got {list(classes)}: name each class once")


def require_indices(y: Tensor, classes: tuple[str, ...]) -> None:
    """Refuse class labels that are not whole numbers from 0 to K - 1."""
    if y.dim() != 1 or y.is_floating_point():
        raise DataError(f"expected whole-number labels of shape (B,), got {y.dtype} of shape {tuple(y.shape)}: give the index of the class")
    if len(y) and (int(y.min()) < 0 or int(y.max()) >= len(classes)):
        raise DataError(
            f"expected labels from 0 to {len(classes) - 1} ({', '.join(classes)}), got {int(y.min())} to {int(y.max())}: "
            "check that the network and the data have the same classes"
        )


def require_outputs(outputs: Tensor, task: Task) -> None:
    """Refuse outputs of the wrong shape."""
    if outputs.dim() != 2 or outputs.shape[1] not in task.outputs:
        wanted = " or ".join(f"(B, {k})" for k in task.outputs)
        raise ModelError(
            f"{type(task).__name__} with the classes {', '.join(task.classes)} expects outputs of shape {wanted}, the network gives "
            f"{tuple(outputs.shape)}: check the task, or the number of classes of the network"
        )
