"""Misclassification-aware adversarial training as Xu et al. set it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from robustdx.attacks import Model
from robustdx.draws import Draws
from robustdx.errors import UnsupportedTask
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiLabel
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.budgets import Misclamped, Scale, Version, met, require_scale, require_version, warn_of_faults
from robustdx.training.objectives.inner import STEP
from robustdx.training.objectives.mart import Mart
from robustdx.training.objectives.protocol import Passes, lowered

EPS = 0.031
"""Of the normalised image, as published for melanoma; a step is 0.007."""


@final
@dataclass(frozen=True, kw_only=True)
class MAAdvT:
    """MART with the settings of Xu et al. (2021, code, melanoma): 4 steps, beta 6.

        L = loss(f(x'), y) - log(1 - max_{k != y} p_k(x')) + beta * (1 - p_y(x)) * KL(p(x) || p(x'))

    The paper claims a form for several findings and the code has none: here p is that of each finding, and the terms are means over the
    annotated ones; with one finding it is the binary form. The published eps is 0.031 of the normalised image, in pixels
    0.031 times the channel's standard deviation. Their Messidor script has beta 8, eps 4/255 and 1 to 9 steps, drawn for each batch.

    `released` clamps the normalised image of the search to [0, 1], as the code does: in pixels to between mean and mean + std, a posterised
    image far outside eps. Cost per image: steps + 2 forward and backward passes.
    """

    version: Version = "matched"
    """"matched": against the plan's threat; "as_published": Linf with eps 0.031 times the channels' std; "released": that, with
    the faults of the code."""
    std: Scale = None
    """Standard deviations of the channels by which the published eps is read; left out, those of the model's normalisation."""
    beta: float = 6.0
    """Weight of the divergence."""
    steps: int = 4
    """Gradient steps of the search."""

    def __post_init__(self) -> None:
        _ = self.mart  # refuses what MART refuses
        require_version("maadvt", self.version, self.std)
        if self.version == "released":
            warn_of_faults("maadvt", "images of the search are clamped in the wrong space, far outside eps")

    @property
    def mart(self) -> Mart:
        """The objective that this is a setting of."""
        return Mart(beta=self.beta, steps=self.steps, step_size=STEP)

    @property
    def passes(self) -> Passes:
        return self.mart.passes

    @property
    def needs_eps(self) -> bool:
        return self.version == "matched"

    def require(self, model: DiagnosticModel) -> None:
        """Refuse the released version of what the code has no form for, and an eps that cannot be read."""
        require_scale("maadvt", self.version, self.std, model)
        if self.version == "released" and isinstance(model.task, MultiLabel):
            raise UnsupportedTask(
                'maadvt, version "released": the published code has no form for several findings, got MultiLabel with '
                f'{", ".join(model.task.classes)}: take version = "as_published", which is ours'
            )

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        ball = met(self.version, self.std, threat, model, EPS)
        if self.version == "released":
            ball = Misclamped(ball, model.mean, model.mean + model.std)
        return self.mart.craft(model, x, y, ball, draws)

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return self.mart.loss(model, x, x_adv, y, threat, draws)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)
