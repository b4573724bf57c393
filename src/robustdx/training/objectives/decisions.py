"""Each decision on an image as a distribution: what MART, TRADES and the focal loss are written in, for every task alike.

One image has one decision among K classes, or, with several findings, one between absent and present for each of them. What is said of
the decisions of an image is their mean over the annotated ones, so that a multi-label task with one finding is the binary task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.errors import UnsupportedTask
from robustdx.tasks import MultiLabel, Task
from robustdx.tasks.protocol import OneOfSeveral
from robustdx.tensors import Labels, Outputs, PerImage


@dataclass(frozen=True)
class Decisions:
    """The decisions on a batch: B images, D decisions each, among K choices."""

    log_p: Tensor
    """(B, D, K)."""
    y: Tensor
    """(B, D): the right choice."""
    annotated: Tensor
    """(B, D): whether the right choice is known."""

    @staticmethod
    def of(task: Task, outputs: Outputs, y: Labels) -> Decisions:
        """What the outputs say of each decision. A label of NaN was not annotated, and counts nowhere.

        Raises:
            UnsupportedTask: the task has no probabilities that exclude one another.
        """
        if isinstance(task, MultiLabel):
            return Decisions(F.logsigmoid(torch.stack((-outputs, outputs), 2)), y.nan_to_num().long(), ~y.isnan())
        if not hasattr(task, "log_probabilities"):
            raise UnsupportedTask(
                f"expected a task that decides by probabilities, got {type(task).__name__}, which has none to compare: take the "
                "objective madry, which needs a loss only"
            )
        log_p = cast(OneOfSeveral, task).log_probabilities(outputs)
        return Decisions(log_p[:, None], y[:, None], torch.ones_like(y[:, None], dtype=torch.bool))

    @property
    def log_right(self) -> Tensor:
        """(B, D): log p_y."""
        return self.log_p.gather(2, self.y[..., None])[..., 0]

    @property
    def doubt(self) -> Tensor:
        """(B, D): 1 - p_y."""
        return -torch.expm1(self.log_right)

    @property
    def log_not_rival(self) -> Tensor:
        """(B, D): log(1 - p_k) of the most probable wrong choice k, as the sum over all others: no 1 - 1."""
        wrong = self.log_p.scatter(2, self.y[..., None], -torch.inf)
        rival = wrong.argmax(2, keepdim=True)
        return self.log_p.scatter(2, rival, -torch.inf).logsumexp(2)

    def divergence(self, reference: Decisions) -> Tensor:
        """(B, D): KL(reference || these), in nats."""
        return (reference.log_p.exp() * (reference.log_p - self.log_p)).sum(2)

    def mean(self, values: Tensor) -> PerImage:
        """Over the annotated decisions of each image; 0 where there is none."""
        return torch.where(self.annotated, values, 0).sum(1) / self.annotated.sum(1).clamp_min(1)


def strayed(task: Task, outputs: Outputs, reference: Outputs, y: Labels) -> PerImage:
    """KL(reference || outputs) of the predictions, where they are annotated: `Task.divergence` for one decision."""
    now = Decisions.of(task, outputs, y)
    return now.mean(now.divergence(Decisions.of(task, reference, y)))
