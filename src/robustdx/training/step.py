"""One step of training: images are shown, changed, and learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from robustdx.data import Dataset
from robustdx.data.batches import batch
from robustdx.draws import Draws
from robustdx.tensors import Images, Labels
from robustdx.training.learner import Learner
from robustdx.training.objectives import Objective
from robustdx.training.order import Showing
from robustdx.training.plan import HardenPlan
from robustdx.training.precision import computing


@dataclass(frozen=True)
class Step:
    """Everything a step needs beside the learner; the same for all steps of a stage."""

    plan: HardenPlan
    objective: Objective
    train: Dataset
    size: tuple[int, int]
    weights: Tensor
    """(N,): what the loss of each training image is multiplied by."""
    precision: str

    def __call__(self, learner: Learner, shown: Sequence[Showing]) -> float:
        """Take the step; the mean weighted loss before it."""
        model = learner.model
        # Dropout and the like draw from the global stream: seeded by the step, so that it does not matter where a run was resumed.
        torch.manual_seed(_number(self.plan.seed, learner.step))
        draws = Draws(self.plan.seed, tuple(f"{self.train.examples[s.index].id}@{s.times}" for s in shown))
        x, y = self._batch(learner, shown, draws)
        with computing(model, self.precision):
            losses = self.objective(model, x, y, self.plan.adversary, draws.fork("objective"))
        weights = self.weights[[s.index for s in shown]].to(losses.device)
        return learner.learn((losses * weights).mean())

    def _batch(self, learner: Learner, shown: Sequence[Showing], draws: Draws) -> tuple[Images, Labels]:
        device = learner.model.mean.device
        pixels, y = batch(self.train, [s.index for s in shown], self.size, learner.model.channels)
        x = self.plan.augment(pixels.to(device).float() / 255, draws.fork("augment"))
        return x.contiguous(memory_format=torch.channels_last), y.to(device)


def _number(seed: int, step: int) -> int:
    return int.from_bytes(blake2b(f"{seed} {step}".encode(), digest_size=4).digest(), "little")
