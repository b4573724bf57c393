"""Misclassification-aware adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.attacks import Model
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.decisions import Decisions
from robustdx.training.objectives.inner import STEP, climbed, nudged, require_climb, require_weight
from robustdx.training.objectives.protocol import Passes, lowered


@final
@dataclass(frozen=True, kw_only=True)
class Mart:
    """Adversarial training that holds fast most where the clean image is misjudged (Wang et al. 2020, algorithm 1).

        L = loss(f(x'), y) - log(1 - max_{k != y} p_k(x')) + beta * (1 - p_y(x)) * KL(p(x) || p(x'))
        x' = argmax over the threat of loss(f(x'), y)

    The first two terms are their boosted cross-entropy. With several findings, p is that of each finding (present or absent), and the last
    two terms are means over those annotated; the paper has one class of several. beta is the paper's lambda, and with 0 the
    boosted cross-entropy is left. The settings are their code's for a ResNet-18 on CIFAR-10, as fractions of eps; its guards against the
    logarithm of 0 are not needed here. Cost per image: steps + 2 forward and backward passes.
    """

    beta: float = 5.0
    """Weight of the divergence."""
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
        return Passes(2 * self.steps, 4)

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        start = nudged(x, threat, draws.fork("nudge"))
        return climbed(model, x, y, threat, draws, start=start, steps=self.steps, step_size=self.step_size)

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        task = model.task
        clean = Decisions.of(task, model(x, draws), y)
        outputs = model(x_adv, draws)
        adversarial = Decisions.of(task, outputs, y)
        boosted = task.loss(outputs, y) - adversarial.mean(adversarial.log_not_rival)
        return boosted + self.beta * adversarial.mean(clean.doubt * adversarial.divergence(clean))

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)
