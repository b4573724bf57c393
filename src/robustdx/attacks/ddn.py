"""Decoupled direction and norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.attacks.loops.climb import exact_from
from robustdx.attacks.loops.hyperplane import TINY, dot
from robustdx.attacks.loops.nearest import Nearest
from robustdx.attacks.loops.uphill import uphill
from robustdx.attacks.pgd import require_positive
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, Labels, l2_norm, per_image
from robustdx.threats import Linf, Threat, everywhere


@final
@dataclass(frozen=True, kw_only=True)
class DDN:
    """Turns the change downhill, and sets its length apart from that (Rony et al. 2019, algorithm 1). L2.

        d <- d - step_t * length * g / |g|,  g = grad gap(x + d);   length <- length (1 - gamma if beaten, else 1 + gamma)
        d <- length * d / |d|

    The step falls along a cosine from 1 to 0.01. Deviations: the gap in logits takes the place of cross-entropy, whose gradient
    vanishes on saturated networks; the step is a fraction of the length, and the first length is what a linear model would
    need, so that nothing depends on the size of the image.

    Cost per image: steps forward and backward passes, one backward pass for each rival at the first (at most 10; none in a binary
    task), and 6 forward passes at the end; in a rough search one forward pass more for every ten.
    """

    minimal: ClassVar[bool] = True

    steps: int = 100
    """Gradient steps."""
    init_norm: float | None = None
    """Length of the first change; left out, gap / |gradient| at the image (the paper takes 1 at 28 to 32 pixels)."""
    gamma: float = 0.05
    """By which share the length grows or shrinks at each step."""
    early_stop: bool = False
    """Leave an image as soon as one inside eps holds as it would be saved, without looking for the smallest distance."""

    def __post_init__(self) -> None:
        require_positive(self.steps, 1, None)
        if not 0 < self.gamma < 1 or (self.init_norm is not None and not self.init_norm > 0):
            raise PlanError(f"expected gamma in (0, 1) and init_norm above 0, got gamma {self.gamma:g} and init_norm {self.init_norm}")

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if isinstance(everywhere(threat), Linf):
            raise PlanError('ddn looks for the smallest Euclidean length and has no Linf form: take "fmn", or threat = "l2"')
        if threat.eps == 0:
            return x.clone()
        nearest = Nearest(model, x, y, threat, draws, early_stop=self.early_stop)
        front, first_exact = nearest.front(), exact_from(nearest.model, self.steps)
        length = x.new_zeros(len(x))
        for t in range(self.steps):
            front.x_t = front.x_t.detach().requires_grad_()
            gaps, beaten = nearest.look(front, exact=t >= first_exact)
            gap = nearest.aim(gaps, front)
            grad = uphill(gap, front.x_t)
            steepest = threat.take(front.at).steepest(grad)
            if t == 0:
                first = gap.detach() / dot(grad, steepest).clamp_min(TINY) if self.init_norm is None else self.init_norm
                length[front.at] = first
            else:
                length[front.at] *= torch.where(beaten, 1 - self.gamma, 1 + self.gamma)
            radius = per_image(length[front.at], grad)
            step = 0.01 + 0.99 * (1 + math.cos(math.pi * t / self.steps)) / 2
            change = front.x_t.detach() - front.x - step * radius * steepest
            change *= radius / per_image(l2_norm(change).clamp_min(TINY), change)
            front.x_t = (front.x + change).clamp(0, 1)
            front = front.only(~nearest.settled[front.at])
            if not len(front):
                break
        else:
            with torch.no_grad():
                nearest.look(front)
        nearest.tighten()
        return nearest.answer()
