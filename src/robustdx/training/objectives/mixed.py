"""Adversarial training on two attacks at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.attacks import Model
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.madry import Madry
from robustdx.training.objectives.protocol import Passes, lowered


@final
@dataclass(frozen=True, kw_only=True)
class Mixed:
    """Half of the images under FGSM, half under PGD, and all of them clean besides (Jogani et al. 2022, their third variant).

        L = (loss(f(x), y) + loss(f(x'), y)) / 2,   x' = FGSM(x) or PGD(x), as a coin falls for each image

    The paper trains on "a combination of both" and how they were combined was not found; the halves, and the clean images, are ours.
    Cost per image: on average steps / 2 + 2.5 forward and backward passes.
    """

    steps: int = 10
    """Gradient steps of PGD."""
    step_size: float | None = None
    """Length of a step of PGD as a fraction of eps; left out, 2.5 / steps."""

    needs_eps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _ = self.attacks

    @property
    def attacks(self) -> tuple[Madry, Madry]:
        """FGSM and PGD, as the first two variants train on them."""
        return Madry(steps=1, step_size=1.0, random_start=False), Madry(steps=self.steps, step_size=self.step_size)

    @property
    def passes(self) -> Passes:
        return Passes(1 + self.steps, 4)

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        coin = draws.fork("mixed").integers(0, 2).to(x.device)
        x_adv = x.clone()
        for side, attack in enumerate(self.attacks):
            some = coin == side
            if bool(some.any()):
                x_adv[some] = attack.craft(model, x[some], y[some], threat.take(some), draws.take(some))
        return x_adv

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return torch.stack([model.task.loss(model(shown, draws), y) for shown in (x, x_adv)]).mean(0)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)
