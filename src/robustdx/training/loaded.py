"""A training before its first step: what its plan names, loaded and checked."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch

from robustdx.data import Dataset
from robustdx.models import DiagnosticModel
from robustdx.training.judge import Judge
from robustdx.training.learner import Learner
from robustdx.training.order import Order, batches_in
from robustdx.training.plan import HardenPlan
from robustdx.training.team import ALONE, Team


@dataclass(frozen=True)
class Training:
    """Everything a training needs, loaded and checked; nothing has run yet."""

    plan: HardenPlan
    model: DiagnosticModel
    """With the weights that training starts from."""
    train: Dataset
    val: Dataset
    precision: str
    device: torch.device
    cut_groups: int = 0
    """How many patients or lesions lie in more than one split: each makes the validation numbers too good."""

    @property
    def judge(self) -> Judge:
        """What chooses the epoch."""
        return Judge(self.plan.judged_by, self.plan.adversary, self.plan.seed, self.plan.batch, self.precision)

    @property
    def order(self) -> Order:
        """Which images each epoch shows."""
        return Order(self.train, self.plan.seed, self.plan.sampling, self.plan.weighting, self.plan.effective)

    @property
    def batches(self) -> int:
        """Steps of an epoch."""
        return batches_in(len(self.train), self.plan.step_images)

    def learner(self, team: Team = ALONE) -> Learner:
        """A learner before its first step."""
        model = copy.deepcopy(self.model).to(self.device).to(memory_format=torch.channels_last).train()
        return Learner(model, copy.deepcopy(model), self.plan, self.batches, self.steps(self.plan.epochs), team)

    def steps_of(self, epoch: int) -> int:
        """Steps of epoch 0, 1, 2, ...: fewer in one that is cut short."""
        return max(1, round(self.plan.share_of(epoch) * self.batches))

    def steps(self, epochs: int) -> int:
        """Steps of the first so many epochs."""
        return sum(self.steps_of(epoch) for epoch in range(epochs))

    def size(self, stage: int) -> tuple[int, int]:
        """Height and width of the images of a stage."""
        assert self.model.size is not None
        return self.plan.size_of(stage) or self.model.size

    def work(self, epochs: int) -> int:
        """What the first so many epochs cost, in passes over images of the model's size."""
        height, width = self.size(len(self.plan.stages) - 1)
        stages = [self.plan.stage_of(epoch) for epoch in range(epochs)]
        passes = [sum(self.plan.objective_of(s).passes) for s in stages]
        pixels = [self.size(s)[0] * self.size(s)[1] for s in stages]
        shares = [self.plan.share_of(epoch) for epoch in range(epochs)]
        return round(sum(a * b * c for a, b, c in zip(passes, pixels, shares, strict=True)) * len(self.train) / (height * width))
