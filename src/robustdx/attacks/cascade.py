"""One attack after another, each on what the ones before it left standing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from robustdx.attacks.loops.climb import Front, Worst, confirmed
from robustdx.attacks.protocol import Attack, Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, Labels
from robustdx.threats import Threat

NOBODY = -1


@final
@dataclass(frozen=True, kw_only=True)
class Cascade:
    """Attacks in a row, the cheap ones first: each is shown only the images that still stand (Croce & Hein 2020, section 5).

    Images that none of them beats are given as the worst that any of them found. Cost per image: the members' until one of them
    beats it, and for each member one forward pass to see whether it did, and one to confirm it.
    """

    members: tuple[Attack, ...]
    """The attacks, each a table with name and settings."""

    def __post_init__(self) -> None:
        if not self.members:
            raise PlanError("expected at least one member, got none: name the attacks of the cascade")

    @property
    def early_stop(self) -> bool:
        """A cascade leaves an image that is beaten: its scores say nothing about ranking."""
        return len(self.members) > 1 or bool(getattr(self.members[0], "early_stop", False))

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        return self.told(model, x, y, threat, draws)[0]

    def told(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> tuple[Images, Tensor]:
        """The images, and which member was the first to turn that much of each, (B,) its position; -1 where no decision is wrong."""
        by = torch.full((len(x),), NOBODY, device=x.device)
        if threat.eps == 0:
            return x.clone(), by
        if len(self.members) == 1:
            x_adv = self.members[0](model, x, y, threat, draws)
            return x_adv, torch.where(_wrong(model, x_adv, y, draws), 0, by)
        worst = Worst(x)
        for n, member in enumerate(self.members):
            stream = draws if n == 0 else draws.fork("member", n)
            front = Front(torch.arange(len(x), device=x.device), x, y, x, stream).only(~worst.beaten)
            if not len(front):
                break
            front.x_t = member(model, front.x, front.y, threat.take(front.at), front.draws)
            found = _judged(model, front, threat, worst)
            by[front.at[found & (worst.errors[front.at] > 0)]] = n
        return worst.x_adv, by


@torch.no_grad()
def _judged(model: Model, front: Front, threat: Threat, worst: Worst) -> Tensor:
    """Which images are more wrong at x_t than before, in float32; those beaten also as they would be saved are settled."""
    before = worst.errors[front.at]
    outputs = model.exact(front.x_t, front.draws)
    errors = model.task.errors(outputs, front.y)
    worst.keep(front.at, front.x_t, errors, model.task.loss(outputs, front.y))
    return confirmed(model, front, threat, worst, errors == 1) | (worst.errors[front.at] > before)


@torch.no_grad()
def _wrong(model: Model, x_adv: Images, y: Labels, draws: Draws) -> Tensor:
    return model.task.errors(model.exact(x_adv, draws), y) > 0
