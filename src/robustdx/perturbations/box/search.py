"""What a search through a box knows of each image, and how it asks: always of the image as it would be saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.models import Subject
from robustdx.models.oracle import Oracle
from robustdx.perturbations.box.box import Box
from robustdx.perturbations.box.changes import saved
from robustdx.tasks import Task
from robustdx.tensors import Flags, Images, Labels, Outputs, PerImage

TOGETHER = 4
"""Candidates of one image that are asked of together: it leaves after the first such group that holds a successful one."""


@dataclass
class Answers:
    """How bad the answers on candidates (S, K) are: more decisions wrong, then a higher score."""

    errors: Tensor
    score: Tensor

    def worst(self) -> Tensor:
        """(S,): which candidate of each image is the worst."""
        most = self.errors == self.errors.amax(1, keepdim=True)
        return self.score.masked_fill(~most, -torch.inf).argmax(1)

    def after(self, first: Answers) -> Answers:
        """These beside those of candidates that were asked of before."""
        return Answers(torch.cat((first.errors, self.errors), 1), torch.cat((first.score, self.score), 1))

    def at(self, which: Tensor) -> tuple[PerImage, PerImage]:
        """Errors and score (S,) of one candidate of each image."""
        return tuple(v.gather(1, which[:, None])[:, 0] for v in (self.errors, self.score))  # type: ignore[return-value]


def score(task: Task, outputs: Outputs, y: Labels) -> PerImage:
    """What a search climbs: the loss, less the margin while every decision is right, which alone says anything where a network is sure."""
    return task.loss(outputs, y) - task.margin(outputs, y).clamp_min(0)


class Search:
    """One search for the worst images of one batch. What it keeps was judged in float32 on the image as it would be saved."""

    def __init__(self, model: Subject | Oracle, box: Box, x: Images, y: Labels, draws: Draws, *, early_stop: bool) -> None:
        self.model, self.box, self.x, self.y, self.draws, self.early_stop = model, box, x, y, draws, early_stop
        self.x_adv, self.shares = x.clone(), x.new_zeros(len(x), len(box.names))
        self.errors, self.score = x.new_full((len(x),), -1.0), x.new_full((len(x),), -torch.inf)
        self.blind = isinstance(model, Oracle) and model.reveals == "labels"
        self.room = max(len(x), getattr(model, "room", 0))

    def standing(self) -> Tensor:
        """Which images are still searched, as positions (S,): with early stop those with a right decision, and those with queries left."""
        going = (self.errors < 1) if self.early_stop else torch.ones_like(self.errors, dtype=torch.bool)
        if isinstance(self.model, Oracle):
            going &= self.model.left(self.draws).to(going.device) >= TOGETHER
        return going.nonzero()[:, 0]

    def judge(self, at: Tensor, shares: Tensor, draws: Draws) -> Answers:
        """Ask in float32 of candidates (S, K, 8) for the images at `at`, and keep the worst. Cost per image: K forward passes."""
        parts = []
        with torch.no_grad():
            for rows in self.pieces(len(at), shares.shape[1]):
                here, these = at[rows], shares[rows]
                shown, outputs = self.ask(here, these, draws, exact=True)
                parts.append(self._keep(here, these, shown, outputs))
        return Answers(*(torch.cat([getattr(p, name) for p in parts]) for name in ("errors", "score")))

    def slopes(self, at: Tensor, shares: Tensor, draws: Draws) -> Tensor:
        """The gradient of the score at candidates (S, K, 8), 0 where the model passes none back. Cost per image: K passes forth and back.

        What is asked in float32 is kept, as in `judge`; a rough model's claim of a success is first asked of in float32.
        """
        grads = []
        for rows in self.pieces(len(at), shares.shape[1]):
            here, leaf = at[rows], shares[rows].clone().requires_grad_()
            with torch.enable_grad():
                shown, outputs = self.ask(here, leaf, draws, exact=False)
                climbed = self.answers(outputs, here, shares.shape[1]).score
            grads.append(_uphill(climbed, leaf))
            with torch.no_grad():
                self._look(here, leaf.detach(), shown.detach(), outputs.detach(), draws)
        return torch.cat(grads)

    def _look(self, at: Tensor, shares: Tensor, shown: Images, outputs: Outputs, draws: Draws) -> None:
        """Keep what a climb has seen on its way: as it is where that was in float32, else asked again where it is a success."""
        if not self.model.rough:
            self._keep(at, shares, shown, outputs)
            return
        seen = self.answers(outputs, at, shares.shape[1])
        claims = ((seen.errors == 1).any(1) & (self.errors[at] < 1)).nonzero()[:, 0]
        if len(claims):
            self.judge(at[claims], shares[claims, seen.worst()[claims]][:, None], draws.fork("claim"))

    def ask(self, at: Tensor, shares: Tensor, draws: Draws, *, exact: bool) -> tuple[Images, Outputs]:
        """The images that candidates (S, K, 8) are, as saved and one candidate after the other, and what the model says of them."""
        image = at.repeat_interleave(shares.shape[1])
        shown = saved(self.box.apply(self.x[image], self.box.scaled(shares.flatten(0, 1))))
        return shown, (self.model.exact if exact else self.model)(shown, draws.take(image))

    def pieces(self, images: int, each: int) -> Iterator[slice]:
        """As many images as go together, each with all its candidates."""
        wide = max(1, self.room // each)
        yield from (slice(i, min(i + wide, images)) for i in range(0, images, wide))

    def answers(self, outputs: Outputs, at: Tensor, each: int) -> Answers:
        """Outputs of candidates, one image after the other, as (S, K)."""
        y = self.y[at.repeat_interleave(each)]
        errors = self.model.task.errors(outputs, y)
        scores = torch.zeros_like(errors) if self.blind else score(self.model.task, outputs, y)
        return Answers(errors.view(-1, each), scores.view(-1, each))

    def _keep(self, at: Tensor, shares: Tensor, shown: Images, outputs: Outputs) -> Answers:
        seen = self.answers(outputs, at, each := shares.shape[1])
        which = seen.worst()
        errors, scores = seen.at(which)
        worse = (errors > self.errors[at]) | ((errors == self.errors[at]) & (scores > self.score[at]))
        rows = torch.arange(len(at), device=at.device)
        self.x_adv[at[worse]] = shown[(rows * each + which)[worse]]
        self.shares[at[worse]] = shares[rows, which][worse]
        self.errors[at[worse]], self.score[at[worse]] = errors[worse], scores[worse]
        return seen


def usable(grad: Tensor) -> Flags:
    """Which gradients (..., 8) say anything: neither 0 throughout nor without a number."""
    return grad.isfinite().all(-1) & (grad != 0).any(-1)


def _uphill(climbed: Tensor, leaf: Tensor) -> Tensor:
    """The gradient of the sum; 0 where the model passes none back."""
    if not climbed.requires_grad:
        return torch.zeros_like(leaf)
    (grad,) = torch.autograd.grad(climbed.sum(), leaf, allow_unused=True)
    return torch.zeros_like(leaf) if grad is None else grad
