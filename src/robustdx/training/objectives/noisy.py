"""Training under Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.attacks import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.protocol import Passes, lowered


@final
@dataclass(frozen=True, kw_only=True)
class Noisy:
    """The task's loss on the image under Gaussian noise (Lecuyer et al. 2019, section 4; Cohen et al. 2019, section 3.3).

    What a network needs to keep its answer in the vote of `Smoothed`: the noise is that of the vote, cut off at [0, 1] as there.
    Without an adversary. Cost per image: one forward and one backward pass.
    """

    sigma: float = 0.25
    """Standard deviation of the noise, in units of pixels in [0, 1]: the one that certificates are wanted at."""

    needs_eps: ClassVar[bool] = False
    passes: ClassVar[Passes] = Passes(0, 2)

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise PlanError(f"sigma must be above 0, got {self.sigma:g}")

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        return (x + self.sigma * draws.fork("noise").normal(like=x)).clamp(0, 1)

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return model.task.loss(model(x_adv, draws), y)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)
