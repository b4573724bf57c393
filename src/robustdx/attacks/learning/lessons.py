"""What an attack that learns is taught with: the images, batch by batch, and what the model is to be made to say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.attacks.loops.nearest import shared
from robustdx.data import Dataset
from robustdx.data.batches import batch, decoded
from robustdx.draws import Draws
from robustdx.errors import DataError, PlanError, RunError
from robustdx.models import DiagnosticModel
from robustdx.models.precision import resolve
from robustdx.tasks import Aimed, Task
from robustdx.tensors import Images, Labels, Outputs, PerImage

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many of how many images have been shown."""

Goal = Literal["any", "least_likely"]

FAR = 1e30
"""In place of an infinite margin, where there is no rival: its exponential is 0 and its gradient too."""


@dataclass(frozen=True)
class Aim:
    """What each image is to be taken for, fixed by what the model says of it as it came: the truth is not needed.

    One way to beat an image is enough where the decisions exclude one another (m_j is the margin of the clean decision
    against rival j):

        least_likely:  -log p_r = m_r + log(1 + sum_j exp(-m_j)),   r the rival furthest away (Poursaeed et al. 2018, section 3.2)
        any:           -log(1 - p_clean) = log(1 + 1 / sum_j exp(-m_j))

    which are cross-entropies written in margins. Where every decision has to be turned (several findings), the mean over them of
    log(1 + exp(m_j)). Under `Targeted`, the loss of the task itself towards the label; under a goal, the m_j are the ways to reach it.
    """

    task: Task
    y: Labels
    """The clean decision; under `Targeted` the label, which is the target; under a goal the labels that it aims by."""
    targeted: bool
    every: bool
    rival: Tensor | None

    @staticmethod
    def at(task: Task, clean: Outputs, y: Labels, goal: Goal) -> Aim:
        """The aim that follows from the clean outputs; `y` is looked at under `Targeted` and under a goal alone."""
        decided = task.decide(clean)
        targeted = not isinstance(task, Aimed) and bool(task.fooled(clean, decided).all())  # a decision that beats itself is wanted
        y = task.labels(y, decided) if isinstance(task, Aimed) else y if targeted else decided
        margins = task.margins(clean, y)
        far = margins.masked_fill(margins.isinf(), -torch.inf).argmax(1, keepdim=True)
        return Aim(task, y, targeted, shared(task, clean, y), far if goal == "least_likely" else None)

    def cost(self, outputs: Outputs, some: Tensor) -> PerImage:
        """What the attack lowers, for the images at these positions."""
        y = self.y[some]
        if self.targeted:
            return -self.task.loss(outputs, y)
        margins = self.task.margins(outputs, y).clamp_max(FAR)
        if self.every:
            return F.softplus(margins).mean(1)
        if self.rival is None:
            return F.softplus(-torch.logsumexp(-margins, 1))
        return margins.gather(1, self.rival[some])[:, 0] + F.softplus(torch.logsumexp(-margins, 1))

    def gap(self, outputs: Outputs, some: Tensor) -> PerImage:
        """What must fall below 0, in logits, for these images to be beaten."""
        margins = self.task.margins(outputs, self.y[some])
        if self.every:
            return margins.masked_fill(margins.isinf(), -torch.inf).amax(1)
        return margins.amin(1) if self.rival is None else margins.gather(1, self.rival[some])[:, 0]


class Lessons:
    """The images of a data set at the model's size, in an order drawn for each epoch, and the aim for each.

    What the model says of an image as it came is asked in float32; the learning runs in bfloat16 where the processor computes in it.
    Cost per image: one forward pass when made.
    """

    def __init__(self, model: DiagnosticModel, data: Dataset, draws: Draws, batch_size: int, goal: Goal) -> None:
        if not len(data):
            raise DataError(f"{data.name}: expected images to learn from, found none: check the path and the split")
        self.model, self.batch_size = model, batch_size
        self.device = model.mean.device
        self.rough = resolve("auto", self.device) == "bfloat16"
        self.fast = model.in_precision(torch.bfloat16) if self.rough else model
        self.data = data if model.size is None else decoded(data, model.size, model.channels)
        self.draws = Draws(draws.seed, tuple(e.id for e in data.examples), draws.path)
        with torch.no_grad():
            seen = [(model.exact(x, d), y) for _, x, y, d in self._batches(torch.arange(len(data)))]
        clean, y = (torch.cat(parts) for parts in zip(*seen, strict=True))
        model.task.require_labels(y.cpu())
        self.aim = Aim.at(model.task, clean, y, goal)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.data) // self.batch_size)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        channels, height, width = next(self._batches(torch.arange(1)))[1].shape[1:]
        return channels, height, width

    def epoch(self, n: int) -> Iterator[tuple[Tensor, Images, Draws]]:
        """(positions, images, draws) of each batch; the order follows from the seed and n."""
        order = self.draws.fork("epoch", n).uniform(0, 1, like=torch.empty(len(self.data), 1))[:, 0].argsort()
        for some, x, _, draws in self._batches(order):
            yield some, x, draws.fork("pass", n)

    def cost(self, x_adv: Images, some: Tensor, draws: Draws) -> PerImage:
        """What the attack lowers. Cost per image: one forward pass, and a backward pass when it is differentiated.

        Raises:
            RunError: the learning has diverged.
        """
        cost = self.aim.cost(self.fast(x_adv, draws), some)
        if not bool(cost.isfinite().all()):
            raise RunError("the attack's training has diverged (its loss is not a number): give a smaller lr")
        return cost

    def gap(self, x_adv: Images, some: Tensor, draws: Draws) -> PerImage:
        """The gap of these images, at the same cost."""
        return self.aim.gap(self.fast(x_adv, draws), some)

    def painting(self) -> AbstractContextManager[object]:
        """In which numbers a network that paints for these lessons computes inside the block."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.rough)

    def _batches(self, order: Tensor) -> Iterator[tuple[Tensor, Images, Labels, Draws]]:
        for some in order.split(self.batch_size):
            try:
                pixels, y = batch(self.data, some.tolist(), self.model.size, self.model.channels)
            except ValueError as error:
                raise PlanError(f"an attack that learns needs images of one size: give the model a size ({error})") from None
            yield some.to(self.device), pixels.to(self.device).float() / 255, y.to(self.device), self.draws.take(some)


@contextmanager
def seeded(draws: Draws, device: torch.device) -> Iterator[None]:
    """torch's own random numbers follow from the draws inside the block (first weights, dropout), and go on as before after it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(Draws(draws.seed, ("learning",), draws.path).integers(0, 2**31)))
        yield


def require_learning(epochs: int, lr: float, batch_size: int) -> None:
    """Refuse settings that would learn nothing."""
    if epochs < 1 or batch_size < 1:
        raise PlanError(f"epochs and batch_size must be at least 1, got epochs {epochs} and batch_size {batch_size}")
    if not 0 < lr < float("inf"):
        raise PlanError(f"lr must be above 0, got {lr:g}")
