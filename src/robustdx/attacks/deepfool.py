"""DeepFool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.attacks.loops.hyperplane import closest, onto, slopes
from robustdx.attacks.loops.nearest import Nearest
from robustdx.attacks.pgd import require_positive
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, Labels
from robustdx.threats import Threat


@final
@dataclass(frozen=True, kw_only=True)
class DeepFool:
    """Steps onto the nearest boundary as if it were flat, until the decision turns (Moosavi-Dezfooli et al. 2016, algorithm 2).

        x_{t+1} = x_t + r_t,   r_t to the nearest of the hyperplanes margin_k(x_t) + grad margin_k(x_t) * (z - x_t) = 0

    looked at as x + (1 + overshoot) (x_t - x). Here r_t is the nearest change that stays inside [0, 1], and at the end the
    overshoot is taken back as far as the image stays beaten. Quick, and further from x than DDN, FMN or FAB. The few steps are
    taken in float32 throughout. Linf and L2.

    Cost per image: one forward pass and at most `rivals` backward passes for each step until it is beaten (usually 2 or 3;
    one backward pass in a binary task), and 5 forward passes at the end.
    """

    minimal: ClassVar[bool] = True

    steps: int = 50
    """Steps at most."""
    overshoot: float = 0.02
    """How far beyond the boundary the image is looked at, as a share of the change."""
    rivals: int = 10
    """So many of the strongest rivals, or findings, are considered at each step."""
    early_stop: bool = False
    """Leave an image as soon as one inside eps holds as it would be saved, without looking for the smallest distance."""

    def __post_init__(self) -> None:
        require_positive(self.steps, 1, None)
        if self.rivals < 1 or not self.overshoot >= 0:
            raise PlanError(
                f"expected rivals of at least 1 and an overshoot of at least 0, got rivals {self.rivals} and overshoot {self.overshoot:g}"
            )

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        nearest = Nearest(model, x, y, threat, draws, early_stop=self.early_stop)
        front = nearest.front()
        flat = front.x
        for _ in range(self.steps):
            front.x_t = (front.x + (1 + self.overshoot) * (flat - front.x)).clamp(0, 1).requires_grad_()
            gaps, beaten = nearest.look(front)
            if bool(beaten.all()):
                break
            ball = threat.take(front.at)
            value, slope = closest(ball, *slopes(gaps, front.x_t, self.rivals))
            at = front.x_t.detach()
            flat = (flat + onto(ball, at, value, slope) - at)[~beaten]
            front.x_t = at
            front = front.only(~beaten)
        else:
            with torch.no_grad():
                front.x_t = (front.x + (1 + self.overshoot) * (flat - front.x)).clamp(0, 1)
                nearest.look(front)
        nearest.tighten()
        return nearest.answer()
