"""Goals among several findings: any one, all of them, or one by name."""

from dataclasses import dataclass
from typing import Literal, final

import torch

from robustdx.catalogue import unknown
from robustdx.errors import PlanError, UnsupportedTask
from robustdx.tasks.goals.protocol import smooth_max
from robustdx.tasks.multilabel import MultiLabel
from robustdx.tasks.protocol import Task
from robustdx.tensors import Flags, Labels, Outputs, PerImage

Wanted = Literal["hidden", "planted", "turned"]


@final
@dataclass(frozen=True)
class AnyFinding:
    """At least one annotated finding is decided wrongly, whichever it is."""

    def require(self, task: Task) -> None:
        require_findings(task, "any finding")

    def labels(self, task: Task, y: Labels, decided: Labels) -> Labels:
        return y

    def margins(self, task: Task, outputs: Outputs, y: Labels) -> Outputs:
        return task.margins(outputs, y)

    def loss(self, task: Task, outputs: Outputs, y: Labels) -> PerImage:
        return smooth_max(-_signed(outputs, y), ~y.isnan())


@final
@dataclass(frozen=True)
class AllFindings:
    """Every annotated finding is decided wrongly at once: the margin is the largest of all, and there is one way only."""

    def require(self, task: Task) -> None:
        require_findings(task, "all findings")

    def labels(self, task: Task, y: Labels, decided: Labels) -> Labels:
        return y

    def margins(self, task: Task, outputs: Outputs, y: Labels) -> Outputs:
        return _largest(_signed(outputs, y), ~y.isnan())

    def loss(self, task: Task, outputs: Outputs, y: Labels) -> PerImage:
        return -smooth_max(_signed(outputs, y), ~y.isnan())


@final
@dataclass(frozen=True)
class Finding:
    """One finding, by name, is hidden, planted or turned, while the decisions on all others stay as they are.

    The margin is the largest of the finding's own and, with `keep_others`, of how far each other decision is from what the
    labels say: below 0, the finding is as wanted and nothing else has changed. An audit takes what the model said of the clean
    image as the labels of the others; where the labels in hand say nothing of one (NaN), it is free.
    """

    finding: str
    """Name of the finding."""
    wanted: Wanted = "hidden"
    """"hidden": present, and to be missed; "planted": absent, and to be seen; "turned": either of the two."""
    keep_others: bool = True
    """Whether the decisions on the other findings must not change."""

    def require(self, task: Task) -> None:
        require_findings(task, f"the finding {self.finding}")
        if self.finding not in task.classes:
            raise PlanError(unknown("finding", self.finding, dict.fromkeys(task.classes)))

    def labels(self, task: Task, y: Labels, decided: Labels) -> Labels:
        return torch.where(self._own(task, y), y, decided)

    def margins(self, task: Task, outputs: Outputs, y: Labels) -> Outputs:
        return _largest(self._needs(task, outputs, y), self._counted(task, y))

    def loss(self, task: Task, outputs: Outputs, y: Labels) -> PerImage:
        return -smooth_max(self._needs(task, outputs, y), self._counted(task, y))

    def _needs(self, task: Task, outputs: Outputs, y: Labels) -> Outputs:
        """(B, K): what must fall below 0. The finding's own margin, and the margins of the others turned round."""
        signed = _signed(outputs, y)
        return torch.where(self._own(task, y), signed, -signed)

    def _counted(self, task: Task, y: Labels) -> Flags:
        """(B, K): which findings count; none where the goal cannot be asked of the image."""
        own = self._own(task, y)
        label = y[:, [task.classes.index(self.finding)]]
        asked = {"hidden": label == 1, "planted": label == 0, "turned": ~label.isnan()}[self.wanted]
        return asked & (own | (~y.isnan() & self.keep_others))

    def _own(self, task: Task, y: Labels) -> Flags:
        """(K,): which of the findings is the named one."""
        return torch.arange(len(task.classes), device=y.device) == task.classes.index(self.finding)


def require_findings(task: Task, goal: str) -> None:
    """Refuse a task without findings."""
    if not isinstance(task, MultiLabel):
        raise UnsupportedTask(
            f"{goal} can be asked of multi-label tasks, got {type(task).__name__} with the classes {', '.join(task.classes)}: "
            "take the goal class or costly"
        )


def _signed(outputs: Outputs, y: Labels) -> Outputs:
    """(B, K): the logit of each finding, below 0 where it is decided wrongly; what was not annotated is as absent."""
    return (2 * y.nan_to_num() - 1) * outputs


def _largest(values: Outputs, among: Flags) -> Outputs:
    """(B, 1): the largest of those with a flag; infinite where there are none."""
    largest = values.masked_fill(~among, -torch.inf).amax(1, keepdim=True)
    return torch.where(among.any(1, keepdim=True), largest, torch.inf)
