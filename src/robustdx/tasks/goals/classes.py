"""Goals among several classes: one by name, grades far enough away, or the decision that costs most."""

from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Literal, cast, final

import torch

from robustdx.catalogue import unknown
from robustdx.errors import PlanError, UnsupportedTask
from robustdx.tasks.goals.protocol import reaching
from robustdx.tasks.ordinal import Ordinal
from robustdx.tasks.protocol import OneOfSeveral, Task
from robustdx.tensors import Classes, Flags, Labels, Outputs, PerImage

Direction = Literal["any", "up", "down"]


@final
@dataclass(frozen=True)
class Class:
    """The image is decided as the named class. It cannot be asked of an image whose label that is already."""

    wanted: str
    """Name of the class that the adversary wants to see."""

    def require(self, task: Task) -> None:
        require_classes(task, f"the class {self.wanted}")
        if self.wanted not in task.classes:
            raise PlanError(unknown("class", self.wanted, dict.fromkeys(task.classes)))

    def labels(self, task: Task, y: Classes, decided: Labels) -> Classes:
        return y

    def margins(self, task: Task, outputs: Outputs, y: Classes) -> Outputs:
        return reaching(exclusive(task).scores(outputs), self._goals(task, y))[0]

    def loss(self, task: Task, outputs: Outputs, y: Classes) -> PerImage:
        return reaching(exclusive(task).scores(outputs), self._goals(task, y))[1]

    def _goals(self, task: Task, y: Classes) -> Flags:
        place = task.classes.index(self.wanted)
        return (torch.arange(len(task.classes), device=y.device) == place) & (y != place)[:, None]


@final
@dataclass(frozen=True)
class Grades:
    """The decision is at least so many grades away from the label, in either direction or in one. For ordered grades only."""

    at_least: int = 1
    """How many grades."""
    direction: Direction = "any"
    """"up": only to a higher grade; "down": only to a lower one; "any": either."""

    def __post_init__(self) -> None:
        if self.at_least < 1:
            raise PlanError(f"at_least must be at least 1 grade, got {self.at_least}")

    def require(self, task: Task) -> None:
        if not isinstance(task, Ordinal):
            raise UnsupportedTask(
                f"grades that are far away can be asked of ordered grades, got {type(task).__name__} with the classes "
                f'{", ".join(task.classes)}: say task = "ordinal" if they stand in their order, or take the goal class'
            )
        if self.at_least >= len(task.classes):
            raise PlanError(f"{len(task.classes)} grades lie at most {len(task.classes) - 1} apart, got at_least = {self.at_least}")

    def labels(self, task: Task, y: Classes, decided: Labels) -> Classes:
        return y

    def margins(self, task: Task, outputs: Outputs, y: Classes) -> Outputs:
        return reaching(exclusive(task).scores(outputs), self._goals(task, y))[0]

    def loss(self, task: Task, outputs: Outputs, y: Classes) -> PerImage:
        return reaching(exclusive(task).scores(outputs), self._goals(task, y))[1]

    def _goals(self, task: Task, y: Classes) -> Flags:
        off = torch.arange(len(task.classes), device=y.device) - y[:, None]
        away = {"any": off.abs(), "up": off, "down": -off}[self.direction]
        return away >= self.at_least


@final
@dataclass(frozen=True)
class Costly:
    """The decision that costs the patient most: a melanoma called a nevus costs more than the reverse.

    The expected cost is the sum, over the levels that a cost can have, of the step from one level to the next times the chance
    P(cost >= level). What is climbed is that sum with the logarithm of each chance: it does not flatten where a softmax does,
    nor where a cheap mistake is made already and a dearer one is still far. An image is beaten where the decision costs
    `at_least` so much. One whose label no decision can cost so much (or anything) is not asked.
    """

    costs: tuple[tuple[float, ...], ...]
    """A row for each true class, a column for each decision, in the order of the classes; 0 where the decision is right."""
    at_least: float | None = None
    """What a decision must cost for the goal to be reached; left out, as much as the costliest decision for that true class."""

    def __post_init__(self) -> None:
        rows = len(self.costs)
        values = [cost for row in self.costs for cost in row]
        if any(len(row) != rows for row in self.costs) or any(not (isfinite(cost) and cost >= 0) for cost in values):
            raise PlanError("costs must be a square table of numbers from 0 upwards: a row for each true class, a column for each decision")
        if any(self.costs[k][k] != 0 for k in range(rows)) or not any(values):
            raise PlanError("the diagonal of costs (the right decisions) must be 0, and some other cost above 0")
        if self.at_least is not None and not 0 < self.at_least <= max(values):
            raise PlanError(f"at_least must lie above 0 and reach no higher than the largest cost, {max(values):g}, got {self.at_least:g}")

    def require(self, task: Task) -> None:
        require_classes(task, "what a decision costs")
        if len(self.costs) != len(task.classes):
            raise PlanError(
                f"costs needs a row and a column for each of {len(task.classes)} classes ({', '.join(task.classes)}), got {len(self.costs)}"
            )

    def labels(self, task: Task, y: Classes, decided: Labels) -> Classes:
        return y

    def margins(self, task: Task, outputs: Outputs, y: Classes) -> Outputs:
        return reaching(exclusive(task).scores(outputs), self._goals(outputs, y))[0]

    def loss(self, task: Task, outputs: Outputs, y: Classes) -> PerImage:
        log_p, cost = exclusive(task).log_probabilities(outputs), self._of(outputs, y)
        levels = sorted({c for row in self.costs for c in row})
        total = torch.zeros_like(log_p[:, 0])
        for lower, level in pairwise(levels):
            total = total + (level - lower) * _log_sum(log_p, cost >= level)
        return torch.where(self._goals(outputs, y).any(1), total, 0.0)

    def _goals(self, outputs: Outputs, y: Classes) -> Flags:
        cost = self._of(outputs, y)
        least = cost.amax(1, keepdim=True) if self.at_least is None else self.at_least
        return (cost >= least) & (cost > 0)

    def _of(self, outputs: Outputs, y: Classes) -> Outputs:
        """(B, K): what each decision on the image would cost."""
        return torch.tensor(self.costs, dtype=outputs.dtype, device=outputs.device)[y]


def require_classes(task: Task, goal: str) -> None:
    """Refuse a task with several decisions on an image."""
    if not hasattr(task, "scores"):
        raise UnsupportedTask(
            f"{goal} can be asked where one of several classes is decided, got {type(task).__name__} "
            f"with {', '.join(task.classes)}: take the goal finding"
        )


def exclusive(task: Task) -> OneOfSeveral:
    """The task, which `require_classes` has let pass."""
    return cast(OneOfSeveral, task)


def _log_sum(log_p: Outputs, among: Flags) -> PerImage:
    """The logarithm of the chance of those with a flag; 0 where there are none."""
    some = among.any(1)
    kept = log_p.masked_fill(~among & some[:, None], -torch.inf)
    return torch.where(some, kept.logsumexp(1), 0.0)
