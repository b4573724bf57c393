"""Gradients estimated from scores alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.attacks.loops.asking import Asking, slope_score
from robustdx.attacks.loops.climb import Front
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, Labels, per_image
from robustdx.threats import Threat

PAIRS = 4
"""Pairs of one image in one call; fixed, so that what is drawn does not hang on the batch."""


@final
@dataclass(frozen=True, kw_only=True)
class NES:
    """Projected ascent along a gradient that natural evolution strategies estimate (Ilyas et al. 2018, section 2.1 and algorithm 1).

        g = 1 / (samples * sigma) * sum over pairs of (score(x_t + sigma u) - score(x_t - sigma u)) u,   u ~ N(0, 1)
        m_t = momentum * m_{t-1} + (1 - momentum) * g;   x_{t+1} = project(x_t + step_size * eps * steepest(m_t))

    The momentum is that of the authors' code: each estimate sees only `samples` of all directions, and the mean of several more.

    Cost per image: 1 + queries forward passes at most, of which each step takes samples + 1, all in float32 (the differences are
    smaller than bfloat16 can tell), and with early stop one for each confirmation; no backward pass.
    """

    black_box: ClassVar[bool] = True

    queries: int = 5000
    """Images that are tried."""
    samples: int = 50
    """Queries behind each estimated gradient: an even number, for the directions come in pairs."""
    sigma: float = 0.01
    """Standard deviation of the probes, in pixel units: the paper's 0.001 is lost in an 8-bit file, and nearly so in float32."""
    momentum: float = 0.9
    """Share of the earlier estimates in the direction of a step."""
    step_size: float | None = None
    """Length of a step as a fraction of eps; left out, 2.5 / steps under Linf and 10 / steps under L2, at most 1."""
    early_stop: bool = True
    """Leave an image as soon as every decision on it is wrong: right for accuracy, wrong for AUROC and other rankings."""

    def __post_init__(self) -> None:
        if self.samples < 2 or self.samples % 2:
            raise PlanError(f"samples must be even and at least 2 (probes come in pairs), got {self.samples}")
        if self.queries <= self.samples:
            raise PlanError(f"queries must be more than samples, got {self.queries} for {self.samples}: no step would be made")
        if not 0 <= self.momentum < 1:
            raise PlanError(f"momentum must lie in [0, 1), got {self.momentum:g}")
        if not self.sigma > 0 or (self.step_size is not None and not self.step_size > 0):
            raise PlanError(f"sigma and step_size must be above 0, got {self.sigma:g} and {self.step_size}")

    @property
    def steps(self) -> int:
        """How many steps the queries allow."""
        return self.queries // (self.samples + 1)

    @torch.no_grad()
    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        asking = Asking(model, x, y, threat, draws, early_stop=self.early_stop)
        front = asking.front(x, draws)
        step = threat.eps * (min(1.0, threat.travel / self.steps) if self.step_size is None else self.step_size)
        mean = torch.zeros_like(x)
        for t in range(self.steps):
            front = front.only(asking.left(front) > self.samples)
            if not len(front):
                break
            slope = self._slope(asking, front, front.draws.fork("step", t))
            mean[front.at] = self.momentum * mean[front.at] + (1 - self.momentum) * slope
            ball = threat.take(front.at)
            front.x_t = ball.project(front.x_t + step * ball.steepest(mean[front.at]), front.x)
            seen = asking.ask(front, exact=True)
            asking.keep(front, seen)
            front = front.only(~asking.settle(front, seen, torch.ones_like(front.at, dtype=torch.bool)))
        return asking.worst.x_adv

    def _slope(self, asking: Asking, front: Front, draws: Draws) -> Images:
        """The estimated gradient of the score at x_t, up to a factor."""
        model, slope = asking.model, torch.zeros_like(front.x_t)
        for first in range(0, self.samples // 2, PAIRS):
            pairs = min(PAIRS, self.samples // 2 - first)
            u = draws.fork(first).normal(like=front.x.new_empty(len(front), pairs, *front.x.shape[1:]))
            probes = front.x_t[:, None] + self.sigma * torch.cat((u, -u), dim=1)
            many = Draws(front.draws.seed, tuple(i for i in front.draws.ids for _ in range(2 * pairs)), front.draws.path)
            outputs = model.exact(probes.flatten(0, 1).clamp_(0, 1), many)
            score = slope_score(model.task, outputs, front.y.repeat_interleave(2 * pairs, 0)).view(len(front), 2, pairs)
            weight = (score[:, 0] - score[:, 1]).nan_to_num(nan=0.0)
            slope += (u * per_image(weight.flatten(), u.flatten(0, 1)).view(*weight.shape, 1, 1, 1)).sum(1)
        return slope
