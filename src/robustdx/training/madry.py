"""Adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from robustdx.attacks import PGD
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, still
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat


@final
@dataclass(frozen=True, kw_only=True)
class Madry:
    """The task's loss on the worst image found inside the threat (Madry et al. 2018, equation 2.1).

    The inner maximum is sought by PGD, driven to its end, with the network in eval mode and its weights frozen; then the
    weights see that image in training mode. With `steps = 1`, `step_size = 1` and no random start the inner example is
    FGSM's. Cost per image: steps + 1 forward and backward passes, of which only one forms gradients of the weights.
    """

    steps: int = 10
    """Gradient steps of the inner PGD."""
    step_size: float | None = None
    """Length of a step as a fraction of eps; left out, 2.5 / steps."""
    random_start: bool = True
    """Begin at a random point of the ball; if not, at the image itself."""

    def __post_init__(self) -> None:
        _ = self.attack  # refuses what PGD refuses

    @property
    def attack(self) -> PGD:
        """The inner attack: the last image is taken unjudged, since its loss is computed anyway."""
        return PGD(steps=self.steps, step_size=self.step_size, random_start=self.random_start, early_stop=False, keep="last")

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        with still(model):
            x_adv = self.attack(model, x, y, threat, draws)
        return model.task.loss(model(x_adv.detach(), draws), y)
