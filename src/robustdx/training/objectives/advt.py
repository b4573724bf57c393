"""The standard adversarial training of Xu et al."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from robustdx.attacks import Model
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.budgets import Scale, met, require_scale, require_version
from robustdx.training.objectives.madry import Madry
from robustdx.training.objectives.protocol import Passes, lowered

EPS = 4 / 255
"""Of the normalised image, as published; a step is a quarter of it."""


@final
@dataclass(frozen=True, kw_only=True)
class AdvT:
    """Adversarial training on four steps of PGD: the standard that Xu et al. (2021, code) compare their own with.

        L = loss(f(x'), y),   x' = PGD(x) of 4 steps of eps / 4 from a random start

    As published eps is 4/255 of the normalised image, which is 4/255 times the channel's standard deviation in pixels.
    Cost per image: 5 forward and backward passes.
    """

    version: Literal["matched", "as_published"] = "matched"
    """"matched": against the plan's threat; "as_published": Linf with eps 4/255 times the channels' std."""
    std: Scale = None
    """Standard deviations of the channels by which the published eps is read; left out, those of the model's normalisation."""

    passes: ClassVar[Passes] = Passes(8, 2)

    def __post_init__(self) -> None:
        require_version("advt", self.version, self.std)

    def require(self, model: DiagnosticModel) -> None:
        """Refuse a model by whose normalisation the published eps cannot be read."""
        require_scale("advt", self.version, self.std, model)

    @property
    def needs_eps(self) -> bool:
        return self.version == "matched"

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        return Madry(steps=4, step_size=1 / 4).craft(model, x, y, met(self.version, self.std, threat, model, EPS), draws)

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return model.task.loss(model(x_adv, draws), y)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)
