"""What a goal is: which answer an adversary is after, instead of any wrong one."""

from __future__ import annotations

from typing import Protocol

import torch

from robustdx.tasks.protocol import Task
from robustdx.tensors import Flags, Labels, Outputs, PerImage

SHARPNESS = 30
"""How sharp the smooth maximum is: its width is the spread of the values over this."""

TINY = 1e-12


class Goal(Protocol):
    """Settings only; the task comes as an argument. `Aimed(task, goal)` is the task that an attack is handed."""

    def require(self, task: Task) -> None:
        """Refuse a task for which the goal has no meaning (UnsupportedTask, PlanError)."""
        ...

    def labels(self, task: Task, y: Labels, decided: Labels) -> Labels:
        """The labels to aim by, from the true ones and the decisions on the images as they came."""
        ...

    def margins(self, task: Task, outputs: Outputs, y: Labels) -> Outputs:
        """(B, R): one column for each way to reach the goal, below 0 where it is reached, infinite where there is no such way."""
        ...

    def loss(self, task: Task, outputs: Outputs, y: Labels) -> PerImage:
        """What an attack climbs; 0 where there is no way."""
        ...


def smooth_max(values: Outputs, among: Flags) -> PerImage:
    """The largest of `values` (B, R) among those with a flag, smoothed so that the runners-up are felt; 0 where there are none.

    w * logsumexp(v / w), with a width w in proportion to the spread of the values: logits times 1000 have the same direction of
    climb as the logits themselves. It lies above the maximum by at most w * log(R).
    """
    some = among.any(1, keepdim=True)
    kept = torch.where(some, among, True)
    fixed = values.detach()
    spread = fixed.masked_fill(~kept, -torch.inf).amax(1, keepdim=True) - fixed.masked_fill(~kept, torch.inf).amin(1, keepdim=True)
    width = (spread / SHARPNESS).clamp_min(TINY)
    smooth = width[:, 0] * (values.masked_fill(~kept, -torch.inf) / width).logsumexp(1)
    return torch.where(some[:, 0], smooth, 0.0)


def reaching(scores: Outputs, wanted: Flags) -> tuple[Outputs, PerImage]:
    """Margins and loss of being decided as one of the `wanted` (B, K) classes, where the largest of `scores` (B, K) is decided.

    The margin of a wanted class is the largest score of all others less its own: the least of them is below 0 exactly where a
    wanted class is decided. The loss is the smooth maximum of the wanted ones less that of the others.
    """
    others = ~wanted & wanted.any(1, keepdim=True)
    rival = scores.masked_fill(wanted, -torch.inf).amax(1, keepdim=True)
    margins = torch.where(wanted, rival - scores, torch.inf)
    return margins, smooth_max(scores, wanted) - smooth_max(scores, others)
