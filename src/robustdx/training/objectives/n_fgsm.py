"""FGSM from strong noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.attacks import Model
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.budgets import within
from robustdx.training.objectives.inner import climbed, require_climb, require_weight
from robustdx.training.objectives.protocol import Passes, lowered


@final
@dataclass(frozen=True, kw_only=True)
class NFGSM:
    """FGSM from a point under strong noise, and not brought back to the threat (N-FGSM, de Jorge et al. 2022, algorithm 1).

        L = loss(f(x'), y),   x' = z + step_size * eps * steepest(grad loss(z)),   z = x + noise, the noise from the ball of k * eps

    What it shows may differ from x by (k + step_size) * eps: that keeps training on one step from collapsing (catastrophic overfitting).
    Clamped to [0, 1] as an image has to be. With k = 0 and step_size = 1 this is FGSM. Cost per image: 2 forward and backward passes.
    """

    k: float = 2.0
    """Largest noise, in eps."""
    step_size: float = 1.0
    """Length of the step as a fraction of eps."""

    needs_eps: ClassVar[bool] = True
    passes: ClassVar[Passes] = Passes(2, 2)

    def __post_init__(self) -> None:
        require_climb(1, self.step_size)
        require_weight("k", self.k)

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        reach = self.k + self.step_size
        start = within(threat, self.k * threat.eps).sample(x, draws.fork("noise"))
        wide = within(threat, reach * threat.eps)
        return climbed(model, x, y, wide, draws, start=start, steps=1, step_size=self.step_size / reach)

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return model.task.loss(model(x_adv, draws), y)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)
