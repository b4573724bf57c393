"""What an attack climbs in place of "the decision is wrong", which has no gradient: one value per image, higher is worse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from robustdx.attacks.loops.nearest import shared
from robustdx.attacks.protocol import Model
from robustdx.errors import UnsupportedTask
from robustdx.tasks import Task
from robustdx.tensors import Labels, Outputs, PerImage

Loss = Literal["ce", "dlr", "margin", "dlr-or-margin"]
Surrogate = Callable[[Outputs, Labels, Tensor], PerImage]
"""(outputs, y, at) -> (B,); `at` says which images of the batch these are."""

SURE = 10.0
"""Logits by which a decision may lead before the cross-entropy is read from logits scaled down to that."""


def surrogate(loss: Loss, task: Task, clean: Outputs, y: Labels) -> Surrogate:
    """The surrogate of a name, for the images whose clean outputs are given."""
    if loss == "ce":
        return cross_entropy(task, clean, y)
    if loss == "margin" or (loss == "dlr-or-margin" and not has_spread(task, 3)):
        return margin(task, clean, y)
    require_spread(task, 3, "dlr")
    return lambda outputs, y, at: -task.margin(outputs, y) / spread(task.margins(outputs, y), 1.0, 0.0)


def cross_entropy(task: Task, clean: Outputs, y: Labels) -> Surrogate:
    """The task's loss, with logits scaled down where the model is so sure of itself that its gradient would vanish.

    The softmax of float32 knows no probability below 1e-38, so that a lead of 90 logits has no slope left. The scale is fixed for
    each image on its clean outputs, so that the losses along a walk can be compared. Where no lead exceeds 10 it is 1.
    """
    lead = task.margins(clean, y).abs()
    largest = torch.where(lead.isfinite(), lead, 0).amax(1).clamp_min(SURE)
    scale = (SURE / largest)[:, None]
    return lambda outputs, y, at: task.loss(outputs * scale[at], y)


def margin(task: Task, clean: Outputs, y: Labels) -> Surrogate:
    """The margin, taken negatively; where an image is beaten only with every decision wrong, the sum over those that are right."""
    if shared(task, clean, y):
        return lambda outputs, y, at: -_finite(task.margins(outputs, y)).clamp_min(0).sum(1)
    return lambda outputs, y, at: -task.margin(outputs, y)


def against(task: Task, rival: Tensor) -> Surrogate:
    """Towards one rival, (B,) its column: the targeted difference of logits ratio, or the plain margin where there are too few classes.

    -(z_y - z_t) / (z_1 - (z_3 + z_4) / 2), with the logits sorted from the largest (Croce & Hein 2020, equation 7).
    """
    ratio = has_spread(task, 4)

    def loss(outputs: Outputs, y: Labels, at: Tensor) -> PerImage:
        margins = task.margins(outputs, y)
        own = margins.gather(1, rival[at][:, None])[:, 0]
        return -own / spread(margins, 0.5, 0.5) if ratio else -own

    return loss


def spread(margins: Outputs, third: float, fourth: float) -> PerImage:
    """z_1 - (third z_3 + fourth z_4), from the margins: the label's own logit stands for 0 there, the others for -margin."""
    z = torch.where(margins.isinf(), 0, -margins).sort(1, descending=True).values
    low = third * z[:, 2] + (fourth * z[:, 3] if fourth else 0)
    return (z[:, 0] - low).clamp_min(1e-12)


def has_spread(task: Task, classes: int) -> bool:
    """Whether a task decides for one among so many classes, each with a logit of its own."""
    made_up = torch.zeros(1, task.outputs[-1])
    return task.activation == "softmax" and task.margins(made_up, task.decide(made_up)).shape[1] >= classes


def require_spread(task: Task, classes: int, loss: str) -> None:
    """Refuse a ratio of logits where there are too few."""
    if not has_spread(task, classes):
        raise UnsupportedTask(
            f"the loss {loss} compares the logits of at least {classes} classes, of which one is right; "
            f"{type(task).__name__} with {', '.join(task.classes)} has none such: take loss=margin, which is as free of scale here"
        )


def clean_outputs(model: Model, x: Tensor, draws: object) -> Outputs:
    """What the model says of the images themselves, in float32. Cost: one forward pass."""
    with torch.no_grad():
        return model.exact(x, draws)  # type: ignore[arg-type]


def _finite(margins: Outputs) -> Outputs:
    return torch.where(margins.isinf(), 0, margins)
