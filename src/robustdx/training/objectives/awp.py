"""Adversarial weight perturbation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.func import functional_call

from robustdx.attacks import Model
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import Task
from robustdx.tensors import Images, Labels, Outputs, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.inner import require_weight
from robustdx.training.objectives.madry import Madry
from robustdx.training.objectives.protocol import Objective, Passes, lowered, require_meaning

TINY = 1e-20

ADVERSARIAL = Madry()


@final
@dataclass(frozen=True, kw_only=True)
class AWP:
    """Any other objective at weights that were moved uphill first, layer by layer (Wu et al. 2020, section 4).

        L = L_inner(w + v; x'),   v = gamma * |w| * g / |g| in each layer,   g the gradient of the mean of L_inner(w; x') in w

    The images x' are found at w, once. Biases and normalisations (weights with a single axis) stay. The weights of the model are never
    touched: a second set, w + v, is handed to the same network, and its gradient is passed on to w as it is. g is the gradient of the
    plain mean over the batch, so the images of a batch depend on one another. The paper begins after a warm-up without it: a stage of its
    own. Cost per image: that of the inner objective, and its loss once more, forward and backward.
    """

    objective: Objective = ADVERSARIAL
    """What is lowered at the moved weights: a name, or a table with `name` and settings."""
    gamma: float = 0.005
    """Length of the move as a fraction of that of the layer's weights."""

    def __post_init__(self) -> None:
        require_weight("gamma", self.gamma)

    @property
    def needs_eps(self) -> bool:
        return self.objective.needs_eps

    @property
    def passes(self) -> Passes:
        crafting, learning = self.objective.passes
        return Passes(crafting, 2 * learning)

    def require(self, model: DiagnosticModel) -> None:
        """Refuse what the inner objective refuses."""
        require_meaning(self.objective, model)

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        return self.objective.craft(model, x, y, threat, draws)

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        here = Moved.of(model)
        weights = {name: w for name, w in here.weights.items() if w.requires_grad and w.dim() > 1}
        looked = Moved(here.model, here.weights, {name: b.clone() for name, b in here.model.named_buffers()})
        mean = self.objective.loss(looked, x, x_adv, y, threat, draws).mean()
        slopes = torch.autograd.grad(mean, list(weights.values()), allow_unused=True)
        moved = {name: _uphill(w, g, self.gamma) for (name, w), g in zip(weights.items(), slopes, strict=True) if g is not None}
        return self.objective.loss(Moved(here.model, {**here.weights, **moved}, {}), x, x_adv, y, threat, draws)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)


def _uphill(w: Tensor, g: Tensor, gamma: float) -> Tensor:
    """w + v, with the gradient of w."""
    return w + gamma * w.detach().norm() / g.norm().clamp_min(TINY) * g


@dataclass(frozen=True, eq=False)
class Moved:
    """A model that computes with other weights than its own, which it keeps."""

    model: DiagnosticModel
    weights: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    """Running means that may move in place of the model's; left out, the model's move."""

    rough = False

    @staticmethod
    def of(model: Model) -> Moved:
        """A model at its own weights, or one that was moved already."""
        if isinstance(model, Moved):
            return model
        assert isinstance(model, DiagnosticModel)
        return Moved(model, dict(model.named_parameters()), {})

    @property
    def task(self) -> Task:
        return self.model.task

    def __call__(self, x: Images, draws: Draws) -> Outputs:
        outputs: Outputs = functional_call(self.model, {**self.weights, **self.buffers}, (x, draws))
        return outputs

    def exact(self, x: Images, draws: Draws) -> Outputs:
        return self(x, draws)
