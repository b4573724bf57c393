"""Free adversarial training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, final

import torch

from robustdx.attacks import Model
from robustdx.attacks.loops.climb import View
from robustdx.attacks.loops.uphill import uphill
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.inner import climbed, require_climb
from robustdx.training.objectives.protocol import Passes, lowered


@final
@dataclass(frozen=True, kw_only=True)
class Free:
    """Every image on the way to the adversarial one is learned from (minibatch replay; Shafahi et al. 2019, algorithm 1).

        L = mean over t of loss(f(x_t), y),   x_{t+1} = project(x_t + step_size * eps * steepest(grad loss(x_t)))

    for t = 0 .. replays - 1, with x_0 random in the threat. The climb is that of the network in training mode, since each pass
    serves both the image and the weights.

    It is not all of theirs. Their weights move after each replay, and the change of a batch is carried on to the next one; an objective
    gives one loss for one step, and remembers nothing. So the weights move once for all replays, the start is random, and what made
    it free, one backward pass for both gradients, is lost: the gradients of the image are passes of their own. Learn for `replays` times
    fewer epochs, as they do, to compare. Cost per image: replays forward and 2 replays - 1 backward passes, in the memory of `replays`.
    """

    replays: int = 4
    """Images on the way, m in the paper, which has 8 on CIFAR-10 and 4 on ImageNet."""
    step_size: float = 1.0
    """Length of a step as a fraction of eps."""

    needs_eps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_climb(self.replays, self.step_size)

    @property
    def passes(self) -> Passes:
        return Passes(0, 3 * self.replays - 1)

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        return threat.sample(x, draws.fork("restart", 0)) if threat.eps else x

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        if threat.eps == 0:
            return model.task.loss(model(x, draws), y)
        replay = Replay(self.replays)
        climbed(model, x, y, threat, draws, start=x_adv, steps=self.replays, step_size=self.step_size, slope=replay)
        return torch.stack(replay.losses).mean(0)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)


@dataclass(eq=False)
class Replay:
    """The slope of the loss, which keeps the losses on the way with their gradients to the weights."""

    replays: int
    losses: list[PerImage] = field(default_factory=list)
    elsewhere: ClassVar[bool] = False

    def __call__(self, view: View) -> Images:
        self.losses.append(view.task.loss(view.outputs, view.front.y))
        if view.t == self.replays - 1:
            return torch.zeros_like(view.leaf)  # where the last step leads is not looked at
        return uphill(self.losses[-1], view.leaf, keep=True)
