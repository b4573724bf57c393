"""The PGD of torchattacks, foolbox and ART, called as their users call them, with one budget for all.

Each takes a network that reads pixels in [0, 1], and `step_size` as a fraction of eps, as robustdx does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from robustdx.threats import Linf, Threat

PGD = Callable[[nn.Module, Tensor, Tensor, Threat, int, float, bool], Tensor]
"""(network, x, y, threat, steps, step_size, random_start) -> x_adv."""


def torchattacks_pgd(
    network: nn.Module, x: Tensor, y: Tensor, threat: Threat, steps: int, step_size: float, random_start: bool = True
) -> Tensor:
    import torchattacks

    attack = torchattacks.PGD if isinstance(threat, Linf) else torchattacks.PGDL2
    found = attack(network, eps=threat.eps, alpha=step_size * threat.eps, steps=steps, random_start=random_start)
    return found(x.contiguous(), y)


def foolbox_pgd(
    network: nn.Module, x: Tensor, y: Tensor, threat: Threat, steps: int, step_size: float, random_start: bool = True
) -> Tensor:
    import foolbox

    attack = foolbox.attacks.LinfPGD if isinstance(threat, Linf) else foolbox.attacks.L2PGD
    found = attack(rel_stepsize=step_size, steps=steps, random_start=random_start)
    return found(foolbox.PyTorchModel(network, bounds=(0, 1)), x, y, epsilons=threat.eps)[1]


def art_pgd(network: nn.Module, x: Tensor, y: Tensor, threat: Threat, steps: int, step_size: float, random_start: bool = True) -> Tensor:
    from art.attacks.evasion import ProjectedGradientDescent

    attack = ProjectedGradientDescent(
        art_classifier(network, x),
        norm=np.inf if isinstance(threat, Linf) else 2,
        eps=threat.eps,
        eps_step=step_size * threat.eps,
        max_iter=steps,
        num_random_init=int(random_start),
        batch_size=len(x),
        verbose=False,
    )
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


def art_classifier(network: nn.Module, x: Tensor) -> object:
    """ART's view of a network."""
    from art.estimators.classification import PyTorchClassifier

    with torch.no_grad():
        classes = network(x[:1]).shape[1]
    loss = nn.CrossEntropyLoss()
    return PyTorchClassifier(network, loss, input_shape=x.shape[1:], nb_classes=classes, clip_values=(0, 1), device_type="cpu")


PEERS: dict[str, PGD] = {"torchattacks": torchattacks_pgd, "foolbox": foolbox_pgd, "art": art_pgd}
