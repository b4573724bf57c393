"""The fast minimum-norm attack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.attacks.loops.climb import exact_from
from robustdx.attacks.loops.hyperplane import TINY, dot
from robustdx.attacks.loops.nearest import Nearest, shortened
from robustdx.attacks.loops.uphill import uphill
from robustdx.attacks.pgd import require_positive
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Flags, Images, Labels, PerImage, per_image
from robustdx.threats import Linf, Threat, everywhere

BEYOND = 1.01
"""How far beyond the boundary, if it is flat, the first beaten image is looked for."""


@final
@dataclass(frozen=True, kw_only=True)
class FMN:
    """Descends inside a ball that grows while the image stands and shrinks once it is beaten (Pintor et al. 2021, algorithm 1).

        radius <- |d| + gap / dual norm of g, and 1 %  while no beaten image is known: the distance to a flat boundary
                  radius (1 + gamma_t)                 while the image stands, afterwards
                  min(radius (1 - gamma_t), nearest)   while it is beaten
        d <- project(d - step_t * radius * steepest(m)),   m <- momentum * m + g / dual norm of g,   g = grad gap(x + d)

    gamma and step fall along a cosine. Deviations: a step is measured in the threat's own norm and as a fraction of the radius (the
    paper's has Euclidean length 1), so that the settings fit every threat and size of image; the gap is that of the rival whose
    boundary is nearest, not of the one with the least gap, which ends 3 to 5 % nearer; and the momentum lets decisions that have
    to turn at once (all findings) share an image under Linf, which ends 20 % nearer there.

    Chosen among the newer ones (PDPGD, ALMA, sigma-zero, ...) because it takes every threat, needs no start and no weight to be
    searched, and came nearest at equal passes: on two small networks its median distance was below those of FAB, DDN and C&W, ours
    and the peers', with 100 passes and with 30 (tests/references/test_minimal.py).

    Cost per image: steps forward and backward passes, one backward pass for each rival at the first (at most 10; none in a binary
    task), and 6 forward passes at the end; in a rough search one forward pass more for every ten.
    """

    minimal: ClassVar[bool] = True

    steps: int = 100
    """Gradient steps."""
    step_size: float = 0.3
    """Length of the first step as a fraction of the radius; the last is a hundredth of it."""
    gamma: float = 0.05
    """By which share the radius changes in the first step; in the last by a fiftieth of it."""
    momentum: float | None = None
    """Share of the last direction that is carried into the next; 0 follows the gradient alone. Left out, 0.9 under Linf, and 0.5
    under L2, where it ends 1 % nearer on findings."""
    early_stop: bool = False
    """Leave an image as soon as one inside eps holds as it would be saved, without looking for the smallest distance."""

    def __post_init__(self) -> None:
        require_positive(self.steps, 1, self.step_size)
        if not (0 < self.gamma < 1 and 0 <= (self.momentum or 0) < 1):
            raise PlanError(f"expected gamma in (0, 1) and momentum in [0, 1), got {self.gamma:g} and {self.momentum}")

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        nearest = Nearest(model, x, y, threat, draws, early_stop=self.early_stop)
        front, first_exact = nearest.front(), exact_from(nearest.model, self.steps)
        radius = x.new_full((len(x),), math.inf)
        carried = (0.9 if isinstance(everywhere(threat), Linf) else 0.5) if self.momentum is None else self.momentum
        momentum = torch.zeros_like(x)
        for t in range(self.steps):
            fall = (1 + math.cos(math.pi * t / self.steps)) / 2
            front.x_t = front.x_t.detach().requires_grad_()
            gaps, beaten = nearest.look(front, exact=t >= first_exact)
            gap, at = nearest.aim(gaps, front), front.at
            grad = uphill(gap, front.x_t)
            ball = threat.take(at)
            downhill = ball.steepest(grad)
            momentum[at] = carried * momentum[at] + grad / per_image(dot(grad, downhill).clamp_min(TINY), grad)
            x_t = front.x_t.detach()
            flat = ball.distance(x_t, front.x) + gap.detach() / dot(grad, downhill).clamp_min(TINY)
            gamma = self.gamma * (0.02 + 0.98 * fall)
            radius[at] = _radius(radius[at], flat, nearest.least[at], beaten, gamma)
            step = self.step_size * (0.01 + 0.99 * fall)
            change = x_t - front.x - step * per_image(radius[at], x_t) * ball.steepest(momentum[at])
            front.x_t = (front.x + shortened(ball, change, radius[at])).clamp(0, 1)
            front = front.only(~nearest.settled[at])
            if not len(front):
                break
        else:
            with torch.no_grad():
                nearest.look(front)
        nearest.tighten()
        return nearest.answer()


def _radius(radius: PerImage, flat: PerImage, nearest: PerImage, beaten: Flags, gamma: float) -> PerImage:
    """The radius of the next ball."""
    standing = torch.where(nearest.isinf(), flat * BEYOND, radius * (1 + gamma))
    return torch.where(beaten, torch.minimum(radius * (1 - gamma), nearest), standing)
