"""What an honest defence is worth: the dedicated climb through its own, exact gradient, in many steps."""

from __future__ import annotations

import torch
from torch import Tensor

from robustdx.attacks import APGD, PGD
from robustdx.attacks.protocol import Attack
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, still
from robustdx.selftest.honest import HONEST
from robustdx.selftest.victims import EPS, Photos
from robustdx.threats import Linf
from tests.selftest.climbing import seek, wrong


def broken_by_climbing(name: str, photos: Photos, *, steps: int = 60) -> Tensor:
    """(N,): which photos the climb breaks, towards every rival in turn. Draws are those of the image, and known to it."""
    model, draws = HONEST[name](), Draws(0, photos.ids)

    def look(z: Tensor, at: Tensor) -> Tensor:
        return model(z, draws.take(at))

    shown = seek(look, look, photos.x, photos.y, steps=steps)
    return wrong(look, shown, photos.y, torch.arange(len(shown))) > 0


def naive(model: DiagnosticModel, photos: Photos, *, steps: int = 20) -> Tensor:
    """(N, C, H, W): what PGD finds through the defence as it stands, saved; the attack of somebody who believes the gradient."""
    return _found(PGD(steps=steps), model, photos)


def sound(model: DiagnosticModel, photos: Photos) -> Tensor:
    """The same of APGD on the difference of logits ratio: what an honest defence is claimed to be worth."""
    return _found(APGD(loss="dlr"), model, photos)


def _found(attack: Attack, model: DiagnosticModel, photos: Photos) -> Tensor:
    threat = Linf(EPS)
    with still(model):
        return threat.snap(attack(model, photos.x, photos.y, threat, Draws(0, photos.ids)), photos.x)
