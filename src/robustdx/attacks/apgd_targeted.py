"""Auto-PGD towards each of the strongest rivals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from robustdx.attacks.apgd import require_share
from robustdx.attacks.loops.ascent import Ascent
from robustdx.attacks.loops.climb import Front, Worst
from robustdx.attacks.loops.lanes import Lane, climb_in_lanes
from robustdx.attacks.loops.nearest import shared
from robustdx.attacks.loops.surrogates import against, clean_outputs, margin
from robustdx.attacks.pgd import require_positive
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Flags, Images, Labels, Outputs
from robustdx.threats import Threat


@final
@dataclass(frozen=True, kw_only=True)
class APGDTargeted:
    """APGD towards each of the strongest rivals, on the targeted difference of logits ratio (Croce & Hein 2020, section 4.1).

    A rival is another class, or for several findings each of them; the strongest have the smallest margin on the image as it came.
    With one rival (one logit, two classes, a target) it is APGD on the margin; with fewer than four classes, on the margin against
    each rival. Where an image is beaten only with every finding wrong, there is one climb, on all their margins.

    Cost per image: one forward pass, targets * restarts * steps forward and backward passes, and for each of these climbs one
    forward pass more; with early stop fewer, and one forward pass for each confirmation.
    """

    targets: int = 9
    """Rivals at most."""
    steps: int = 100
    """Gradient steps of each climb."""
    restarts: int = 1
    """Climbs towards each rival."""
    rho: float = 0.75
    """Share of the steps between two checkpoints that must raise the loss, or the step is halved."""
    early_stop: bool = True
    """Leave an image as soon as every decision on it is wrong: right for accuracy, wrong for AUROC and other rankings."""

    def __post_init__(self) -> None:
        require_positive(self.steps, self.restarts, None)
        require_share(self.rho)
        if self.targets < 1:
            raise PlanError(f"targets must be at least 1, got {self.targets}")

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        worst, clean = Worst(x), clean_outputs(model, x, draws)
        order, has = self._rivals(model, clean, y)

        def climb(model: Model, front: Front, threat: Threat, lanes: Worst, lane: Lane) -> None:
            image, turn = lane
            rival = None if order is None else order[image, turn // self.restarts]
            climbed = margin(model.task, clean[image], y[image]) if rival is None else against(model.task, rival)
            Ascent(climbed, self.steps, self.rho, self.early_stop)(model, front, threat, lanes)

        def start(turn: int) -> Images:
            return threat.sample(x, draws.fork("rival", turn // self.restarts, "restart", turn % self.restarts))

        climb_in_lanes(climb, start, has.repeat_interleave(self.restarts, 1), model, x, y, threat, draws.fork("climbs"), worst)
        return worst.x_adv

    def _rivals(self, model: Model, clean: Outputs, y: Labels) -> tuple[Tensor | None, Flags]:
        """(B, R) the columns of the rivals, the strongest first, and which images have them; no columns: all decisions at once."""
        if shared(model.task, clean, y):
            return None, torch.ones(len(y), 1, dtype=torch.bool, device=y.device)
        margins = model.task.margins(clean, y)
        order = margins.argsort(1)[:, : min(self.targets, int(margins.isfinite().sum(1).amax()))]
        return order, margins.gather(1, order).isfinite()
