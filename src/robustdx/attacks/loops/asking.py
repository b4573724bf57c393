"""How a black-box attack asks: without gradients, one query at a time for each image, keeping the worst answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from robustdx.attacks.loops.climb import Front, Worst, confirmed
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.tasks import Task
from robustdx.tensors import Flags, Images, Labels, Outputs, PerImage
from robustdx.threats import Threat


@runtime_checkable
class Limited(Protocol):
    """A model that answers only so many queries for each image (`Oracle` with a budget)."""

    def left(self, draws: Draws) -> Tensor: ...


def left(model: Model, draws: Draws) -> Tensor:
    """How many queries each image has left, (B,): without end where the model sets none."""
    if isinstance(model, Limited):
        return model.left(draws)
    return torch.full((len(draws.ids),), torch.iinfo(torch.long).max)


ROUNDING = 1e-6
"""As a share of the score: a smaller gain is float32's rounding, which differs from batch to batch."""


@dataclass
class Answer:
    """How bad an answer is for the defender: more decisions wrong, then a higher score."""

    errors: PerImage
    score: PerImage

    def worse_than(self, other: Answer) -> Flags:
        gain = self.score - other.score
        return (self.errors > other.errors) | ((self.errors == other.errors) & (gain > ROUNDING * other.score.abs()))

    def no_better_than(self, other: Answer) -> Flags:
        """Worse, or the same to the last digit: a step on a plateau, as scores that come rounded have them."""
        return self.worse_than(other) | ((self.errors == other.errors) & (self.score == other.score))

    def where(self, flags: Flags, other: Answer) -> Answer:
        """This answer where flagged, the other elsewhere."""
        return Answer(torch.where(flags, self.errors, other.errors), torch.where(flags, self.score, other.score))

    def only(self, flags: Flags) -> Answer:
        return Answer(self.errors[flags], self.score[flags])


def answer(task: Task, outputs: Outputs, y: Labels) -> Answer:
    """The score is the margin, taken negatively, until a first decision is wrong, and then the loss.

    With one decision that is the margin loss of Andriushchenko et al. (2020); with several, an image is worth attacking after
    the first is wrong, and its margin, that of the weakest decision, says no more about the others. Scores are compared only
    where as many decisions are wrong, so that the two never meet.
    """
    errors = task.errors(outputs, y)
    return Answer(errors, torch.where(errors == 0, -task.margin(outputs, y), task.loss(outputs, y)))


def slope_score(task: Task, outputs: Outputs, y: Labels) -> PerImage:
    """A score without jumps, for differences: the loss, less the margin while every decision is right.

    The loss alone says nothing where a network is sure (its cross-entropy is 0 in float32); the margin still does.
    """
    return task.loss(outputs, y) - task.margin(outputs, y).clamp_min(0)


def reachable(threat: Threat, x: Images) -> Flags:
    """Which pixels the threat lets change, (B, C, H, W): all of them, or those of a mask."""
    return threat.project(torch.ones_like(x), x) != threat.project(torch.zeros_like(x), x)


class Asking:
    """The queries of one attack on one batch, which sees scores: the worst image so far, and which images are done.

    An image is done when it is beaten (with `early_stop`; confirmed in float32 on the image as it would be saved) or when an
    oracle's budget for it is spent; it then keeps the worst image it was seen with.
    """

    def __init__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws, *, early_stop: bool) -> None:
        """Asks what the model says of x itself. Cost per image: one forward pass."""
        self.model, self.threat, self.early_stop = model, threat, early_stop
        self.x, self.y, self.worst = x, y, Worst(x)
        front = self.front(x, draws)
        if len(front):
            first = self.ask(front, exact=True)
            self.keep(front, first)
            self.settle(front, first, torch.ones_like(front.at, dtype=torch.bool))

    def front(self, start: Images, draws: Draws) -> Front:
        """The images that are not done, to be searched from `start`."""
        front = Front(torch.arange(len(self.x), device=self.x.device), self.x, self.y, start, draws).only(~self.worst.beaten)
        return front.only(self.left(front) > 0)

    def left(self, front: Front) -> Tensor:
        """How many queries each image has left."""
        return left(self.model, front.draws).to(front.at.device)

    def ask(self, front: Front, *, exact: bool = False) -> Answer:
        """What the model says of x_t."""
        outputs = (self.model.exact if exact else self.model)(front.x_t, front.draws)
        return answer(self.model.task, outputs, front.y)

    def best(self, front: Front) -> Answer:
        """The worst answer so far for each image."""
        return Answer(self.worst.errors[front.at], self.worst.loss[front.at])

    def keep(self, front: Front, seen: Answer) -> None:
        """Remember x_t where it is the worst so far."""
        self.worst.keep(front.at, front.x_t, seen.errors, seen.score)

    def settle(self, front: Front, seen: Answer, fresh: Flags) -> Flags:
        """Which images are done, after an answer at x_t that is news where `fresh`."""
        done = self.left(front) <= 0
        if self.early_stop:
            claimed = fresh & (seen.errors == 1) & ~done
            if bool(claimed.any()):
                done = confirmed(self.model, front, self.threat, self.worst, claimed) | (self.left(front) <= 0)
        return done
