"""Gradient alignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.attacks import FGSM, Model
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, Labels, PerImage, l2_norm, total
from robustdx.threats import Threat
from robustdx.training.objectives.inner import require_weight
from robustdx.training.objectives.protocol import Passes, lowered

TINY = 1e-12


@final
@dataclass(frozen=True, kw_only=True)
class GradAlign:
    """FGSM training with gradients held parallel inside the threat (Andriushchenko and Flammarion 2020, section 4).

        L = loss(f(x'), y) + weight * (1 - cos(grad loss(x), grad loss(x + n))),   x' = FGSM(x), n random inside the threat

    A loss that is linear in the threat leaves one step nothing to miss: that keeps it from collapsing (catastrophic overfitting). Both
    gradients are of the network in training mode, and are differentiated once more; where one of them is 0, the term is left out. The
    authors' weights on CIFAR-10: 0.2 at 8/255, 0.036 at 2/255. With weight = 0 this is at-fgsm.

    Cost per image: 4 forward and 4 backward passes, and one more pass through each of two gradients, which takes about a forward and a
    backward pass (counted so).
    """

    weight: float = 0.2
    """Weight of the alignment."""

    needs_eps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_weight("weight", self.weight)

    @property
    def passes(self) -> Passes:
        return Passes(2, 10 if self.weight else 2)

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        return FGSM()(model, x, y, threat, draws)

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        loss = model.task.loss(model(x_adv, draws), y)
        if not self.weight or threat.eps == 0:
            return loss
        here = _slope(model, x, y, draws)
        there = _slope(model, threat.sample(x, draws.fork("align")), y, draws)
        return loss + self.weight * _apart(here, there)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)


def _slope(model: Model, x: Images, y: Labels, draws: Draws) -> Images:
    """The gradient of the loss in the image, which can be differentiated again."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(model.task.loss(model(x, draws), y).sum(), x, create_graph=True)
    return slope


def _apart(a: Images, b: Images) -> PerImage:
    """1 - cos(a, b)."""
    flat = (l2_norm(a.detach()) < TINY) | (l2_norm(b.detach()) < TINY)
    a, b = (torch.where(flat[:, None, None, None], 1.0, g) for g in (a, b))  # before the norm, whose gradient is not a number at 0
    return 1 - total(a * b) / (l2_norm(a) * l2_norm(b))
