"""Defences that are what they look like: an auditor that refuses one of these is as wrong as one that believes a fake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.models import Averaged, Defended, DiagnosticModel, Ensemble
from robustdx.selftest.planted import Planted
from robustdx.selftest.victims import lipschitz
from robustdx.tensors import Images

SAMPLES = 4
"""Draws that the smoothed network answers by."""


def trained(model: DiagnosticModel) -> DiagnosticModel:
    """The network as it is."""
    return model


def smoothed(model: DiagnosticModel) -> DiagnosticModel:
    """The mean answer under Gaussian noise, drawn for each image."""
    return Averaged(Defended(model, Noise()), samples=SAMPLES)


def small_lipschitz(model: DiagnosticModel) -> DiagnosticModel:
    """Another network, whose answers cannot move far."""
    return lipschitz()


def ensemble(model: DiagnosticModel) -> DiagnosticModel:
    """The network and itself before a mirror."""
    return Ensemble([model, Defended(model, Mirror())])


def blurred(model: DiagnosticModel) -> DiagnosticModel:
    """A light blur before the network."""
    return Defended(model, LightBlur())


@final
@dataclass(frozen=True, kw_only=True)
class Noise:
    """Adds Gaussian noise from the draws of each image."""

    sigma: float = 4 / 255
    """Standard deviation, in pixel units. At 8/255 whoever knows the few draws leaves 6 points less than who does not."""

    def __call__(self, x: Images, draws: Draws) -> Images:
        return (x + self.sigma * draws.normal(like=x)).clamp(0, 1)


@final
@dataclass(frozen=True, kw_only=True)
class Mirror:
    """Swaps left and right."""

    def __call__(self, x: Images, draws: Draws) -> Images:
        return x.flip(3)


@final
@dataclass(frozen=True, kw_only=True)
class LightBlur:
    """Mixes each pixel with the binomial mean of its neighbourhood; differentiable throughout."""

    share: float = 0.5
    """How much of the mean goes into the mixture."""

    def __call__(self, x: Images, draws: Draws) -> Images:
        line = torch.tensor([0.25, 0.5, 0.25]).to(x)
        kernel = torch.outer(line, line).expand(x.shape[1], 1, 3, 3)
        soft = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, groups=x.shape[1])
        return ((1 - self.share) * x + self.share * soft).clamp(0, 1)


_ALL = (
    Planted("trained", trained, "Trained against PGD.", "The weights themselves resist.", "robust"),
    Planted("smoothed", smoothed, "The mean answer under Gaussian noise.", "All chance comes from the image's own draws.", "robust"),
    Planted("small_lipschitz", small_lipschitz, "Layers that never stretch a difference.", "The answer is bound to move little.", "robust"),
    Planted(
        "ensemble", ensemble, "The mean logits of the network and of its mirror.", "Both members resist, and their slopes add up.", "robust"
    ),
    Planted(
        "blurred", blurred, "A light blur before the network.", "It takes a little off every change, and its slope is exact.", "robust"
    ),
)
HONEST: dict[str, Planted] = {planted.name: planted for planted in _ALL}
"""The honest defences by name. `HONEST[name]()` makes the defended model."""
