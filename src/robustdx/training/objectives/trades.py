"""TRADES."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.attacks import Model
from robustdx.attacks.loops.climb import View
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, Labels, Outputs, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.decisions import strayed
from robustdx.training.objectives.inner import STEP, climbed, nudged, require_climb, require_weight
from robustdx.training.objectives.protocol import Passes, lowered


@final
@dataclass(frozen=True, kw_only=True)
class Trades:
    """The loss on the clean image, and how far the prediction can be moved from it (Zhang et al. 2019, algorithm 1).

        L = loss(f(x), y) + beta * KL(p(x) || p(x')),   x' = argmax over the threat of KL(p(x) || p(x'))

    The search starts from x under a little noise and needs no label; with several findings the divergence is the mean over those
    annotated. beta is the paper's 1 / lambda; steps, step and noise are their code's on CIFAR-10, as fractions of eps. With
    beta = 0 this is plain training. Cost per image: steps + 2 forward and backward passes, and one forward pass for p(x) of the search.
    """

    beta: float = 6.0
    """Weight of the divergence: what robustness may cost in accuracy."""
    steps: int = 10
    """Gradient steps of the search."""
    step_size: float = STEP
    """Length of a step as a fraction of eps."""

    needs_eps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_climb(self.steps, self.step_size)
        require_weight("beta", self.beta)

    @property
    def passes(self) -> Passes:
        return Passes(2 * self.steps + 1, 4)

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        with torch.no_grad():
            clean = model(x, draws)
        start = nudged(x, threat, draws.fork("nudge"))
        return climbed(model, x, y, threat, draws, start=start, steps=self.steps, step_size=self.step_size, slope=Away(clean))

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        clean, adversarial = model(x, draws), model(x_adv, draws)
        return model.task.loss(clean, y) + self.beta * strayed(model.task, adversarial, clean, y)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)


@dataclass(frozen=True, eq=False)
class Away:
    """The slope that leads away from what was predicted on the clean images."""

    clean: Outputs
    elsewhere: ClassVar[bool] = False

    def __call__(self, view: View) -> Images:
        return view.uphill(strayed(view.task, view.outputs, self.clean[view.front.at], view.front.y))
