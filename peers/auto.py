"""The APGD, FAB, Square and AutoAttack of torchattacks and of the reference, called as their users call them, with the same steps.

torchattacks takes 10 steps unless it is told otherwise; Croce & Hein (2020) and their code take 100.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from robustdx.threats import Linf, Threat

Auto = Callable[[nn.Module, Tensor, Tensor, Threat, int], Tensor]
"""(network, x, y, threat, classes) -> x_adv."""

STEPS = 100


def _norm(threat: Threat) -> dict[str, Any]:
    return {"norm": "Linf" if isinstance(threat, Linf) else "L2", "eps": threat.eps, "seed": torch.initial_seed()}


def apgd(loss: str) -> Auto:
    """APGD on the cross-entropy ("ce") or on the difference of logits ratio ("dlr")."""

    def run(network: nn.Module, x: Tensor, y: Tensor, threat: Threat, classes: int) -> Tensor:
        import torchattacks

        found: Tensor = torchattacks.APGD(network, steps=STEPS, loss=loss, **_norm(threat))(x.contiguous(), y)
        return found

    return run


def apgd_targeted(network: nn.Module, x: Tensor, y: Tensor, threat: Threat, classes: int) -> Tensor:
    """APGD towards every other class."""
    import torchattacks

    found: Tensor = torchattacks.APGDT(network, steps=STEPS, n_classes=classes, **_norm(threat))(x.contiguous(), y)
    return found


def autoattack(network: nn.Module, x: Tensor, y: Tensor, threat: Threat, classes: int) -> Tensor:
    """The standard ensemble, with the reference's 100 steps in its APGD and FAB."""
    import torchattacks

    attack = torchattacks.AutoAttack(network, n_classes=classes, version="standard", **_norm(threat))
    for member in attack._autoattack.attacks:
        if hasattr(member, "steps"):
            member.steps = STEPS
    found: Tensor = attack(x.contiguous(), y)
    return found


def reference(*members: str) -> Auto:
    """AutoAttack by its authors (pyautoattack): the standard ensemble, or some of its members with as many steps as there."""

    def run(network: nn.Module, x: Tensor, y: Tensor, threat: Threat, classes: int) -> Tensor:
        import pyautoattack

        attack = pyautoattack.AutoAttack(network, version="standard", **_norm(threat))
        attack.attacks_to_run = list(members) or attack.attacks_to_run
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = min(9, classes - 1)
        found: Tensor = attack.run_standard_evaluation(x.contiguous(), y, batch_size=len(x))[0]
        return found

    return run


PEERS: Mapping[str, Auto] = {"apgd-ce": apgd("ce"), "apgd-dlr": apgd("dlr"), "apgd-t": apgd_targeted, "autoattack": autoattack}
