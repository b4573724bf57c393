"""The minimal-norm attacks of torchattacks and foolbox, called as their users call them: the distance of each image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from robustdx.threats import Threat

Minimal = Callable[[nn.Module, Tensor, Tensor, Threat], Tensor]
"""(network, x, y, threat) -> x_adv, the nearest that was found."""


def with_foolbox(make: Callable[[], Any], network: nn.Module, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
    import foolbox

    found: Tensor = make()(foolbox.PyTorchModel(network, bounds=(0, 1)), x, y, epsilons=None)[1]
    return found


def with_torchattacks(make: Callable[[nn.Module], Any], network: nn.Module, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
    found: Tensor = make(network)(x.contiguous(), y)
    return found


def foolbox_attack(name: str, **settings: Any) -> Minimal:
    """One of foolbox's attacks by the name of its class."""

    def make() -> Any:
        import foolbox

        return getattr(foolbox.attacks, name)(**settings)

    return partial(with_foolbox, make)


def torchattacks_attack(name: str, **settings: Any) -> Minimal:
    """One of torchattacks' attacks by the name of its class."""

    def make(network: nn.Module) -> Any:
        import torchattacks

        return getattr(torchattacks, name)(network, **settings)

    return partial(with_torchattacks, make)


def distances(network: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor, threat: Threat) -> Tensor:
    """How far each image had to go; infinite where it still stands."""
    with torch.no_grad():
        stands = network(x_adv.clamp(0, 1)).argmax(1) == y
    return torch.where(stands, torch.inf, threat.distance(x_adv.clamp(0, 1), x))
