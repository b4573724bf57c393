"""Fakes that answer as the network does and lie about the slope: the gradient is there, finite, and wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn

from robustdx.models import CNN, DiagnosticModel
from robustdx.selftest.planted import cnn_of, rewired, seeded

Turn = Callable[[Tensor], Tensor]


def wrong_sign(model: DiagnosticModel) -> DiagnosticModel:
    """The gradient with the other sign."""
    return rewired(model, Misled(model.network, torch.neg))


def scrambled(model: DiagnosticModel) -> DiagnosticModel:
    """The gradient, dealt out to other pixels with other signs."""
    return rewired(model, Misled(model.network, _scramble))


def detached(model: DiagnosticModel) -> DiagnosticModel:
    """The network sees a detached copy; beside it runs a small branch with a gradient and no say."""
    return rewired(model, Detached(model.network))


def bait(model: DiagnosticModel) -> DiagnosticModel:
    """Another network's gradient."""
    return rewired(model, Bait(cnn_of(model)))


def border(model: DiagnosticModel) -> DiagnosticModel:
    """The gradient of the outermost pixels alone."""
    return rewired(model, Border(model.network))


def cancelling(model: DiagnosticModel) -> DiagnosticModel:
    """Two members that agree on the answer and pull apart on the slope."""
    return rewired(model, Cancelling(model.network))


class Turned(torch.autograd.Function):
    """The identity, whose gradient is put through a function on its way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, turn: Turn) -> Tensor:
        ctx.turn = turn
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.turn(grad), None


@final
class Misled(nn.Module):
    """A network whose gradient is turned on its way out."""

    def __init__(self, network: nn.Module, turn: Turn) -> None:
        super().__init__()
        self.network, self.turn = network, turn

    def forward(self, x: Tensor) -> Tensor:
        return self.network(Turned.apply(x, self.turn))


@final
class Detached(nn.Module):
    """Logits of a detached copy, and a faint linear branch that autograd can follow."""

    def __init__(self, network: nn.Module, weight: float = 0.02) -> None:
        super().__init__()
        self.network, self.weight = network, weight

    def forward(self, x: Tensor) -> Tensor:
        logits = self.network(x.detach())
        branch = seeded(x[0].numel(), logits.shape[1]).to(x) / x[0].numel() ** 0.5
        return logits + self.weight * x.flatten(1) @ branch


@final
class Bait(nn.Module):
    """The network's answer with the slope of an untrained one."""

    def __init__(self, network: CNN) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.network, self.bait = network, CNN(network.head.out_features, width=12)

    def forward(self, x: Tensor) -> Tensor:
        slope = self.bait(x)
        return self.network(x.detach()) + slope - slope.detach()


@final
class Border(nn.Module):
    """Takes the inside of the image by `.data`: only a frame around it keeps its slope."""

    def __init__(self, network: nn.Module, width: int = 1) -> None:
        super().__init__()
        self.network, self.width = network, width

    def forward(self, x: Tensor) -> Tensor:
        inside = x.clone()
        w = self.width
        inside[:, :, w:-w, w:-w] = x.data[:, :, w:-w, w:-w]
        return self.network(inside)


@final
class Cancelling(nn.Module):
    """The mean of the network on the image and on its mirror image, the second with its gradient reversed."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return (self.network(x) + self.network(Turned.apply(x, torch.neg).flip(3))) / 2


def _scramble(grad: Tensor) -> Tensor:
    """Half of the signs turned, and every value moved by a third of the image."""
    sign = seeded(*grad.shape[1:], seed=2).sign().to(grad)
    return grad.roll(grad.shape[3] // 3, 3) * sign
