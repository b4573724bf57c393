"""Short runs on the training data alone, to see what serves here before the budget is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from robustdx.attacks import PGD
from robustdx.catalogue import build, dump
from robustdx.data import Dataset
from robustdx.data.batches import batch, decoded
from robustdx.data.split import subset, with_splits
from robustdx.draws import Draws
from robustdx.metrics.paired import permutation_test
from robustdx.models import still
from robustdx.training.loaded import Training
from robustdx.training.order import classes_of
from robustdx.training.plan import HardenPlan, Stage
from robustdx.training.precision import computing
from robustdx.training.step import Step

JUDGED = 400
"""Images, held out of the training data, on which trials are judged."""
JUDGE = PGD(steps=10, early_stop=True)
BEYOND_CHANCE = 0.1
"""p-value below which a trial takes the place of the usual choice."""


@dataclass(frozen=True)
class Candidate:
    """What a trial tries."""

    objective: Mapping[str, Any]
    learning_rate: float

    @property
    def name(self) -> str:
        settings = ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.objective.items() if k != "name")
        return f"{self.objective['name']}{f' ({settings})' if settings else ''}, rate {self.learning_rate:.3g}"


@dataclass(frozen=True)
class Trial:
    """What came of it on the images held out."""

    candidate: Candidate
    steps: int
    clean: tuple[float, ...]
    """For each image the share of its decisions that are right."""
    robust: tuple[float, ...]
    """The same under attack."""


@dataclass(frozen=True)
class Ground:
    """Where trials are held: a part of the training data to learn from, another to be judged on, at one size; no patient is in both."""

    training: Training
    size: tuple[int, int]
    learned: Dataset
    judged: Dataset

    @classmethod
    def of(cls, training: Training, size: tuple[int, int]) -> Ground:
        homeless = replace(training.train, examples=[replace(e, split=None) for e in training.train.examples])
        cut, channels = with_splits(homeless, training.plan.seed), training.model.channels
        judged = subset(cut.only("val"), JUDGED, training.plan.seed)
        return cls(training, size, decoded(cut.only("train"), size, channels), decoded(judged, size, channels))

    def run(self, candidate: Candidate, steps: int) -> Trial:
        """So many steps from the weights that training starts from, the rate falling to 0 over them; then judged under attack."""
        short = self._short(candidate)
        learner, order = short.learner(), short.order
        learner.whole, learner.warm_up = steps, min(learner.warm_up, steps / 5)
        step = Step(short.plan, short.plan.objective_of(0), self.learned, self.size, short.plan.adversary, order.weights, short.precision)
        with torch.random.fork_rng(devices=[]):
            while learner.step < steps:
                for shown in order.batches(learner.step // short.batches, short.plan.step_images)[: steps - learner.step]:
                    step(learner, shown)
        clean, robust = self._judged(learner.average)
        return Trial(candidate, steps, clean, robust)

    def balanced(self, values: Sequence[float]) -> float:
        """The mean over classes of the mean over each class's images."""
        return float((np.asarray(values) * self.weights).sum())

    def p_value(self, one: Trial, other: Trial) -> float:
        """Whether two trials differ, over patients: in balanced robust accuracy."""
        values = [np.asarray(t.robust) * self.weights for t in (one, other)]
        patients = [e.patient or e.id for e in self.judged.examples]
        return permutation_test(values[0], values[1], patients, seed=self.training.plan.seed).p

    @property
    def weights(self) -> np.ndarray:
        """What each judged image counts, so that each class counts the same and all together 1."""
        classes = np.asarray(classes_of(self.judged))
        _, at, counts = np.unique(classes, return_inverse=True, return_counts=True)
        return 1 / (len(counts) * counts[at])

    def _short(self, candidate: Candidate) -> Training:
        plan = self.training.plan
        words = {**dump(plan), "objective": dict(candidate.objective), "learning_rate": candidate.learning_rate}
        words |= {"stages": [dump(Stage(epochs=1))], "model": {**words["model"], "size": list(self.size)}}
        return replace(self.training, plan=build(HardenPlan, words, where="trial"), train=self.learned, val=self.judged)

    def _judged(self, model: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
        clean, robust = [], []
        plan, device = self.training.plan, model.mean.device
        with still(model), computing(model, self.training.precision):
            for start in range(0, len(self.judged), plan.batch):
                indices = range(start, min(start + plan.batch, len(self.judged)))
                pixels, y = batch(self.judged, indices, self.size, model.channels)
                x, y = pixels.to(device).float() / 255, y.to(device)
                draws = Draws(plan.seed, tuple(self.judged.examples[i].id for i in indices), ("trial",))
                x_adv = JUDGE(model, x, y, plan.adversary, draws)
                with torch.no_grad():
                    clean += (1 - model.task.errors(model(x, draws), y)).tolist()
                    robust += (1 - model.task.errors(model(x_adv, draws), y)).tolist()
        return tuple(clean), tuple(robust)


def better(ground: Ground, usual: Trial, others: Sequence[Trial]) -> tuple[Trial, dict[str, float]]:
    """The usual choice, unless another is above it by more than chance; and the p-value of each other."""
    p = {t.candidate.name: ground.p_value(t, usual) for t in others}
    above = [t for t in others if ground.balanced(t.robust) > ground.balanced(usual.robust)]
    sure = [t for t in above if p[t.candidate.name] * len(others) < BEYOND_CHANCE]
    return max(sure, key=lambda t: ground.balanced(t.robust), default=usual), p
