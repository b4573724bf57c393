"""Training against one perturbation for all images."""

from __future__ import annotations

from dataclasses import dataclass
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
class Universal:
    """Adversarial training on one perturbation that the batch shares: the threat of UAP and universal GAP (Mummadi et al. 2019).

        L = loss(f(x + v), y),   v = argmax over the threat of the mean of loss(f(x + v), y) over the batch

    sought by steps of sign-gradient ascent from a random v, and clamped to [0, 1] with each image. A weaker adversary than one
    that sees the image, so less accuracy is given up; it says little about attacks on single images. The images of a batch depend on one
    another; in batches of one this is adversarial training. Shafahi et al. (2020) carry v on from batch to batch, which an
    objective cannot.
    Cost per image: steps + 1 forward and backward passes.
    """

    steps: int = 5
    """Gradient steps of the search."""
    step_size: float = 0.5
    """Length of a step as a fraction of eps."""

    needs_eps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_climb(self.steps, self.step_size)

    @property
    def passes(self) -> Passes:
        return Passes(2 * self.steps, 2)

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        grey = torch.full_like(x[:1], 0.5)  # a stand-in image that leaves room on both sides: what is climbed is grey + v
        first = draws.take([0])
        shared = Shared(x, y, grey, draws)
        start = threat.sample(grey, first.fork("restart", 0))
        found = climbed(model, grey, y[:1], threat, first, start=start, steps=self.steps, step_size=self.step_size, slope=shared)
        return threat.project(x + (found - grey), x)

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return model.task.loss(model(x_adv, draws), y)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)


@dataclass(frozen=True, eq=False)
class Shared:
    """The slope of the mean loss of a batch in the perturbation that its images share."""

    x: Images
    y: Labels
    grey: Images
    draws: Draws
    elsewhere: ClassVar[bool] = True

    def __call__(self, view: View) -> Images:
        v = (view.front.x_t - self.grey).detach().requires_grad_()
        outputs = view.ask((self.x + v).clamp(0, 1), self.draws.fork("step", view.t))
        return uphill(view.task.loss(outputs, self.y).mean(), v)
