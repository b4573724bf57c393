"""How many steps fit into the time that a training may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean

from robustdx.training.loaded import Training

ENDING = 2.0
"""Seconds kept for what comes after the last step's judgement: writing the model."""
REMEMBERED = 50
"""Steps whose mean says how long one takes: the machine may become slower, or faster, on the way."""


@dataclass
class Pace:
    """Says when a stage has had its share of the time and, from the steps of the last, at which step training ends."""

    seconds: float
    """Time for the whole training."""
    steps_per_epoch: int
    shares: tuple[float, ...] = (1.0,)
    """By stage, how much of the time is over when it ends."""
    taken: list[float] = field(default_factory=list)
    """Seconds of the last steps."""
    judging: float = 0.0
    """Seconds at the end of an epoch, as the last one took them."""

    @classmethod
    def of(cls, training: Training) -> Pace:
        """Of a training whose plan has `seconds`: time is shared among stages as work is."""
        plan, whole = training.plan, training.work(training.plan.epochs)
        assert plan.seconds is not None
        shares = (training.work(plan.first_of(i + 1)) / whole for i in range(len(plan.stages)))
        return cls(plan.seconds, training.batches, tuple(shares))

    def late(self, stage: int, elapsed: float) -> bool:
        """Whether a stage has had its share of the time."""
        return elapsed >= self.shares[stage] * self.seconds

    def stepped(self, seconds: float) -> None:
        self.taken = [*self.taken[1 - REMEMBERED :], seconds]

    def whole(self, step: int, elapsed: float) -> int:
        """Steps in all, of which `step` are taken, after `elapsed` seconds: at least those.

        Each epoch to come takes its steps and its judging. What is left of the time, less one judging at the end, is divided by that.
        """
        if not self.taken:
            return step + 1
        each = fmean(self.taken) + self.judging / self.steps_per_epoch
        return step + max(0, int((self.seconds - elapsed - self.judging - ENDING) / each))
