"""One step of training: images are shown, changed, and learned from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from robustdx.data import Dataset
from robustdx.data.batches import batch
from robustdx.draws import Draws
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat
from robustdx.training.learner import Learner
from robustdx.training.objectives import Objective
from robustdx.training.order import Showing, cut
from robustdx.training.plan import HardenPlan
from robustdx.training.precision import computing


@dataclass(frozen=True)
class Step:
    """Everything a step needs beside the learner; the same for all steps of a stage."""

    plan: HardenPlan
    objective: Objective
    train: Dataset
    size: tuple[int, int]
    threat: Threat
    weights: Tensor
    """(N,): what the loss of each training image is multiplied by."""
    precision: str

    def __call__(self, learner: Learner, shown: Sequence[Showing]) -> float:
        """Take the step; the mean weighted loss before it."""
        # Dropout and the like draw from the global stream: seeded by the step, so that it does not matter where a run was resumed.
        torch.manual_seed(_number(self.plan.seed, learner.step) + learner.team.rank)
        return learner.learn(self._losses(learner, shown))

    def _losses(self, learner: Learner, shown: Sequence[Showing]) -> Iterator[Tensor]:
        """The mean weighted loss in parts, one for each batch that is held at a time."""
        for part in cut(shown, self.plan.accumulate):
            yield self._loss(learner, learner.team.part(part)).sum() / len(shown)

    def _loss(self, learner: Learner, shown: Sequence[Showing]) -> PerImage:
        draws = Draws(self.plan.seed, tuple(f"{self.train.examples[s.index].id}@{s.times}" for s in shown))
        x, y = self._batch(learner, shown, draws)
        with computing(learner.model, self.precision), learner.team.normalising():
            losses = self.objective(learner.model, x, y, self.threat, draws.fork("objective"))
        return losses * self.weights[[s.index for s in shown]].to(losses.device)

    def _batch(self, learner: Learner, shown: Sequence[Showing], draws: Draws) -> tuple[Images, Labels]:
        device = learner.model.mean.device
        pixels, y = batch(self.train, [s.index for s in shown], self.size, learner.model.channels)
        x = self.plan.augment(pixels.to(device).float() / 255, draws.fork("augment"))
        return x.contiguous(memory_format=torch.channels_last), y.to(device)


def _number(seed: int, step: int) -> int:
    return int.from_bytes(blake2b(f"{seed} {step}".encode(), digest_size=4).digest(), "little")
