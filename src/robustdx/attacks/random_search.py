"""Random images around the true one: the attack that needs nothing, and that every other one must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.attacks.loops.asking import Asking
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, Labels
from robustdx.threats import Threat


@final
@dataclass(frozen=True, kw_only=True)
class RandomSearch:
    """Tries points of the ball drawn at random, from its inside and from its corners in turn (Carlini et al. 2019, section 4.3).

    A weak attack, and a sharp question: an attack along the gradient that leaves standing what this one breaks has failed.
    Cost per image: one forward pass for the image itself, `samples` at most, and with early stop one for each confirmation.
    """

    black_box: ClassVar[bool] = True

    samples: int = 100
    """Images that are tried."""
    early_stop: bool = True
    """Leave an image as soon as every decision on it is wrong: right for accuracy, wrong for AUROC and other rankings."""

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise PlanError(f"samples must be at least 1, got {self.samples}")

    @torch.no_grad()
    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        asking = Asking(model, x, y, threat, draws, early_stop=self.early_stop)
        for i in range(self.samples):
            front = asking.front(x, draws.fork("sample", i))
            if not len(front):
                break
            ball = threat.take(front.at)
            inside = ball.sample(front.x, front.draws)
            front.x_t = inside if i % 2 == 0 else ball.project(front.x + ball.eps * ball.steepest(inside - front.x), front.x)
            seen = asking.ask(front, exact=True)
            asking.keep(front, seen)
            asking.settle(front, seen, torch.ones_like(front.at, dtype=torch.bool))
        return asking.worst.x_adv
