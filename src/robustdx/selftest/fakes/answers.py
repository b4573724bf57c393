"""Fakes that change the numbers of the answer and leave its order: the loss goes flat, the decision stays as weak as it was."""

from __future__ import annotations

import copy
from typing import final

import torch
from torch import Tensor, nn

from robustdx.models import DiagnosticModel
from robustdx.selftest.planted import cnn_of, rewired


def saturated(model: DiagnosticModel) -> DiagnosticModel:
    """Logits times 1,000."""
    return rewired(model, Scaled(model.network, 1000.0))


def tempered(model: DiagnosticModel) -> DiagnosticModel:
    """Probabilities at temperature 0.01, as float32 has them."""
    return rewired(model, Tempered(model.network))


def distilled(model: DiagnosticModel) -> DiagnosticModel:
    """What defensive distillation at T = 100 leaves: a last layer a hundred times as large."""
    network = copy.deepcopy(cnn_of(model))
    with torch.no_grad():
        network.head.weight.mul_(100)
        network.head.bias.mul_(100)
    return rewired(model, network)


def quantised(model: DiagnosticModel) -> DiagnosticModel:
    """Logits rounded to a coarse grid."""
    return rewired(model, Rounded(model.network))


def clipped(model: DiagnosticModel) -> DiagnosticModel:
    """Log-probabilities clamped from both sides."""
    return rewired(model, Clipped(model.network))


@final
class Scaled(nn.Module):
    """Logits times a factor: in float32 the softmax is exactly 0 or 1, and so is the cross-entropy's slope 0."""

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x) * self.factor


@final
class Tempered(nn.Module):
    """The logarithm of probabilities that have run out of digits."""

    def __init__(self, network: nn.Module, temperature: float = 0.01) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, x: Tensor) -> Tensor:
        return (self.network(x) / self.temperature).softmax(1).clamp_min(1e-30).log()


@final
class Rounded(nn.Module):
    """Logits on a grid; a staircase has no slope. Of two on the same step the first is decided."""

    def __init__(self, network: nn.Module, grid: float = 0.25) -> None:
        super().__init__()
        self.network, self.grid = network, grid

    def forward(self, x: Tensor) -> Tensor:
        return (self.network(x) / self.grid).round() * self.grid


@final
class Clipped(nn.Module):
    """Sharp log-probabilities held between two bounds: outside them a clamp has no slope."""

    def __init__(self, network: nn.Module, sharpness: float = 20.0, low: float = -20.0, high: float = -1e-3) -> None:
        super().__init__()
        self.network, self.sharpness, self.low, self.high = network, sharpness, low, high

    def forward(self, x: Tensor) -> Tensor:
        return (self.network(x) * self.sharpness).log_softmax(1).clamp(self.low, self.high)
