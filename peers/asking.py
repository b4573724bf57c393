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

Asks = Callable[["Metered", Tensor, Tensor, Threat], object]
"""Attacks the images that are metered; what it gives back is not looked at."""


class Spent(Exception):
    """The budget of every image that is asked about is spent."""


class Metered(nn.Module):
    """A network that counts the queries of each of N images and keeps the nearest wrong answer.

    A call shows each image as often as any other: N images, or k times N, the first N first.
    """

    def __init__(self, network: nn.Module, x: Tensor, y: Tensor, threat: Threat, queries: int) -> None:
        super().__init__()
        self.network, self.x, self.y, self.threat = network, x, y, threat
        self.left = torch.full((len(x),), queries)
        self.nearest, self.distance = x.clone(), x.new_full((len(x),), float("inf"))
        self.at = torch.arange(len(x))
        """Which images are asked about."""

    def forward(self, z: Tensor) -> Tensor:
        z, n, times = z.float(), len(self.at), len(z) // len(self.at)  # ART asks in float64
        self.left[self.at] -= times
        counts = self.left[self.at] >= 0
        if not bool(counts.any()):
            raise Spent
        outputs: Tensor = self.network(z)
        inside, at = z.detach().clamp(0, 1), self.at.repeat(times)
        far = self.threat.distance(inside, self.x[at]).where(outputs.argmax(1) != self.y[at], torch.inf).view(times, n)
        least, which = far.min(0)
        nearer = counts & (least < self.distance[self.at])
        rows = self.at[nearer]
        self.distance[rows] = least[nearer]
        self.nearest[rows] = inside.view(times, n, *inside.shape[1:])[which, torch.arange(n)][nearer]
        return outputs


def metered(attack: Asks, queries: int, *, together: bool = False) -> Auto:
    """An attack on one image after the other, each with a budget of its own.

    `together`: on all at once, for an attack that asks as often about each image, whichever are beside it.
    """

    def run(network: nn.Module, x: Tensor, y: Tensor, threat: Threat, classes: int) -> Tensor:
        found, size = [], len(x) if together else 1
        for images, labels in zip(x.split(size), y.split(size), strict=True):
            meter = Metered(network, images, labels, threat, queries).eval()
            with suppress(Spent):
                attack(meter, images, labels, threat)
            found.append(meter.nearest)
        return torch.cat(found)

    return run


def with_foolbox(name: str, **settings: Any) -> Asks:
    """One of foolbox's attacks by the name of its class, from the starts that it takes itself; without one an image stands."""

    def run(network: Metered, x: Tensor, y: Tensor, threat: Threat) -> object:
        import foolbox

        model = foolbox.PyTorchModel(network, bounds=(0, 1))
        for i in range(len(x)):  # one by one: it draws for all until each has a start
            network.at = torch.tensor([i])
            with suppress(Spent):
                noise = foolbox.attacks.LinearSearchBlendedUniformNoiseAttack(steps=50)
                noise.run(model, x[i : i + 1], foolbox.criteria.Misclassification(y[i : i + 1]))
        network.at = at = network.distance.isfinite().nonzero()[:, 0]
        if not len(at):
            return None
        own = {"constraint": "linf" if isinstance(threat, Linf) else "l2"} if "HopSkip" in name else {}
        attack = getattr(foolbox.attacks, name)(**settings, **own)
        return attack.run(model, x[at], foolbox.criteria.Misclassification(y[at]), starting_points=network.nearest[at].clone())

    return run


def art_hopskipjump(network: Metered, x: Tensor, y: Tensor, threat: Threat) -> object:
    from art.attacks.evasion import HopSkipJump

    norm = np.inf if isinstance(threat, Linf) else 2
    attack = HopSkipJump(art_classifier(network, x), batch_size=64, norm=norm, max_iter=1000, verbose=False)
    return attack.generate(x.numpy(), y.numpy())


def art_simba(step_size: float) -> Asks:
    """SimBA in cosines with steps of `step_size` * eps: bands as wide as an eighth of the image, as in the paper."""

    def run(network: Metered, x: Tensor, y: Tensor, threat: Threat) -> object:
        from art.attacks.evasion import SimBA

        side = x.shape[2]
        classifier = art_classifier(nn.Sequential(network, nn.Softmax(1)).eval(), x)
        settings = {"freq_dim": side // 8, "stride": side // 32, "epsilon": step_size * threat.eps, "max_iter": 10**6, "batch_size": 1}
        wanted = np.eye(classifier.nb_classes, dtype=np.float32)[y.numpy()]
        return SimBA(classifier, attack="dct", verbose=False, **settings).generate(x.numpy(), wanted)

    return run
