"""Auto-PGD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from robustdx.attacks.loops.ascent import Ascent
from robustdx.attacks.loops.climb import Front, Worst
from robustdx.attacks.loops.lanes import Lane, climb_in_lanes
from robustdx.attacks.loops.surrogates import Loss, clean_outputs, surrogate
from robustdx.attacks.pgd import require_positive
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, Labels
from robustdx.threats import Threat


@final
@dataclass(frozen=True, kw_only=True)
class APGD:
    """PGD that finds its own step sizes, with momentum, from random starts (Croce & Hein 2020, algorithm 1).

    Cost per image: one forward pass, restarts * steps forward and backward passes, and for each restart one forward pass more;
    with early stop fewer, and one forward pass for each confirmation.
    """

    steps: int = 100
    """Gradient steps of each start."""
    restarts: int = 1
    """Climbs from independent random starts; the worst image of all is kept."""
    loss: Loss = "ce"
    """What is climbed: "ce", the task's loss (cross-entropy); "dlr", the difference of logits ratio, from three classes on;
    "margin", the plain margin; "dlr-or-margin", the ratio where there is one."""
    rho: float = 0.75
    """Share of the steps between two checkpoints that must raise the loss, or the step is halved."""
    early_stop: bool = True
    """Leave an image as soon as every decision on it is wrong: right for accuracy, wrong for AUROC and other rankings."""

    def __post_init__(self) -> None:
        require_positive(self.steps, self.restarts, None)
        require_share(self.rho)

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        worst = Worst(x)
        clean = clean_outputs(model, x, draws)

        def climb(model: Model, front: Front, threat: Threat, lanes: Worst, lane: Lane) -> None:
            climbed = surrogate(self.loss, model.task, clean[lane[0]], front.y)
            Ascent(climbed, self.steps, self.rho, self.early_stop)(model, front, threat, lanes)

        def start(turn: int) -> Images:
            return threat.sample(x, draws.fork("restart", turn))

        every = torch.ones(len(x), self.restarts, dtype=torch.bool, device=x.device)
        climb_in_lanes(climb, start, every, model, x, y, threat, draws.fork("climbs"), worst)
        return worst.x_adv


def require_share(rho: float) -> None:
    """Refuse a share that is none."""
    if not 0 < rho < 1:
        raise PlanError(f"rho must lie between 0 and 1 (it is a share of the steps), got {rho:g}")
