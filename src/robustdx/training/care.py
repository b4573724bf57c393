"""What monitors have seen in a training and what was done about it: carried from step to step, and part of the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from robustdx.training import OBJECTIVES
from robustdx.training.objectives import Objective

Record = dict[str, Any]


@dataclass
class Care:
    """Everything about a training that monitors have changed. Words and numbers only."""

    events: list[Record] = field(default_factory=list)
    """One record for each thing seen: epoch, step, monitor, what was seen, what was done."""
    replaced: list[Record] = field(default_factory=list)
    """Objectives that have collapsed, in words: none of them is taken again."""
    lowered: int = 0
    """The epoch after which the learning rate was lowered against robust overfitting; 0: never."""
    boosts: dict[str, float] = field(default_factory=dict)
    """What the images of a class count more than the plan has it."""
    boosted: dict[str, int] = field(default_factory=dict)
    """The epoch after which that was last raised."""
    divergences: int = 0
    """How often the loss or its gradient was no number."""
    stopped: bool = False
    """Whether training was ended before its last epoch."""

    def objective(self, planned: Objective, fallback: Objective) -> Objective:
        """What the plan has in mind or, where that has collapsed, the fallback: with twice the steps where it has collapsed too."""
        if OBJECTIVES.dump(planned) not in self.replaced:
            return planned
        while OBJECTIVES.dump(fallback) in self.replaced:
            fallback = replace(fallback, steps=2 * fallback.steps)  # type: ignore[type-var,attr-defined]
        return fallback
