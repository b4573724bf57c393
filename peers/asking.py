"""The decision-based and score-based attacks of foolbox and ART, at an equal number of queries for each image.

What a library calls a step may be one query or a hundred. So the network counts: once the budget of an image is spent the attack
is broken off, and the nearest wrong image that it has asked about is its answer, whatever it would have given back itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from peers.auto import Auto
from peers.pgd import art_classifier
from robustdx.threats import Linf, Threat

One = Callable[[nn.Module, Tensor, Tensor, Threat], object]
"""Attacks one image (1, C, H, W); what it gives back is not looked at."""


class Spent(Exception):
    """The budget of an image is spent."""


class Metered(nn.Module):
    """A network that counts the queries of one image and keeps the nearest wrong answer."""

    def __init__(self, network: nn.Module, x: Tensor, y: Tensor, threat: Threat, queries: int) -> None:
        super().__init__()
        self.network, self.x, self.y, self.threat, self.left = network, x, y, threat, queries
        self.nearest, self.distance = x.clone(), float("inf")

    def forward(self, z: Tensor) -> Tensor:
        if self.left < len(z):
            raise Spent
        self.left -= len(z)
        outputs: Tensor = self.network(z)
        inside = z.detach().clamp(0, 1)
        far = self.threat.distance(inside, self.x.expand_as(z)).where(outputs.argmax(1) != self.y, torch.inf)
        least = int(far.argmin())
        if float(far[least]) < self.distance:
            self.nearest, self.distance = inside[least : least + 1].clone(), float(far[least])
        return outputs


def metered(attack: One, queries: int) -> Auto:
    """An attack on one image after the other, each with a budget of its own."""

    def run(network: nn.Module, x: Tensor, y: Tensor, threat: Threat, classes: int) -> Tensor:
        found = []
        for image, label in zip(x.split(1), y.split(1), strict=True):
            meter = Metered(network, image, label, threat, queries).eval()
            with suppress(Spent):
                attack(meter, image, label, threat)
            found.append(meter.nearest)
        return torch.cat(found)

    return run


def with_foolbox(name: str, **settings: Any) -> One:
    """One of foolbox's attacks by the name of its class."""

    def run(network: nn.Module, x: Tensor, y: Tensor, threat: Threat) -> object:
        import foolbox

        own = {"constraint": "linf" if isinstance(threat, Linf) else "l2"} if "HopSkip" in name else {}
        attack = getattr(foolbox.attacks, name)(**settings, **own)
        try:
            return attack(foolbox.PyTorchModel(network, bounds=(0, 1)), x, y, epsilons=None)
        except ValueError as error:
            if "init_attack failed" not in str(error):
                raise
            return None  # no start was found: the image stands

    return run


def art_hopskipjump(network: nn.Module, x: Tensor, y: Tensor, threat: Threat) -> object:
    from art.attacks.evasion import HopSkipJump

    norm = np.inf if isinstance(threat, Linf) else 2
    attack = HopSkipJump(art_classifier(network, x), batch_size=64, norm=norm, max_iter=1000, verbose=False)
    return attack.generate(x.numpy(), y.numpy())


def art_simba(step_size: float) -> One:
    """SimBA in cosines with steps of `step_size` * eps: bands as wide as an eighth of the image, as in the paper."""

    def run(network: nn.Module, x: Tensor, y: Tensor, threat: Threat) -> object:
        from art.attacks.evasion import SimBA

        side = x.shape[2]
        classifier = art_classifier(nn.Sequential(network, nn.Softmax(1)).eval(), x)
        settings = {"freq_dim": side // 8, "stride": side // 32, "epsilon": step_size * threat.eps, "max_iter": 10**6, "batch_size": 1}
        wanted = np.eye(classifier.nb_classes, dtype=np.float32)[y.numpy()]
        return SimBA(classifier, attack="dct", verbose=False, **settings).generate(x.numpy(), wanted)

    return run
