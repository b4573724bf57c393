"""Adversarial training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from robustdx.attacks import PGD, Model
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.protocol import Passes, lowered


@final
@dataclass(frozen=True, kw_only=True)
class Madry:
    """The task's loss on the worst image found inside the threat (Madry et al. 2018, equation 2.1).

        L = loss(f(x'), y),   x' = argmax over the threat of loss(f(x'), y)

    The inner maximum is sought by PGD, driven to its end, with the network in eval mode and its weights frozen; then the
    weights see that image in training mode. Presets: at-fgsm and at-pgd, the first two of Jogani et al. (2022, whose steps were not
    found); fast, one step of 1.25 eps from a random start (Wong et al. 2020, algorithm 3).

    Cost per image: steps + 1 forward and backward passes, of which only one forms gradients of the weights.
    """

    steps: int = 10
    """Gradient steps of the inner PGD."""
    step_size: float | None = None
    """Length of a step as a fraction of eps; left out, 2.5 / steps."""
    random_start: bool = True
    """Begin at a random point of the ball; if not, at the image itself."""

    needs_eps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _ = self.attack  # refuses what PGD refuses

    @property
    def passes(self) -> Passes:
        return Passes(2 * self.steps, 2)

    @property
    def attack(self) -> PGD:
        """The inner attack: the last image is taken unjudged, since its loss is computed anyway."""
        return PGD(steps=self.steps, step_size=self.step_size, random_start=self.random_start, early_stop=False, keep="last")

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        return self.attack(model, x, y, threat, draws)

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return model.task.loss(model(x_adv, draws), y)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "at-fgsm": {"name": "madry", "steps": 1, "step_size": 1.0, "random_start": False},
    "at-pgd": {"name": "madry", "steps": 10},
    "fast": {"name": "madry", "steps": 1, "step_size": 1.25},
}
"""Adversarial training under the names that it goes by."""
