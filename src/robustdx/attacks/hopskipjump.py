"""HopSkipJump: along the decision boundary, by decisions alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count
from typing import ClassVar, final

import torch
from torch import Tensor

from robustdx.attacks.loops.climb import Front
from robustdx.attacks.loops.deciding import Deciding
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, Labels, PerImage, l2_norm, per_image
from robustdx.threats import Threat

PROBES = 8
"""Probes of one image in one call; fixed, so that what is drawn does not hang on the batch."""

FIRST_PROBE = 0.1
"""How far the first probes lie from the boundary, when it is only roughly known."""

FINEST = 0.01
"""How finely the boundary is found again, as a share of the distance: this over sqrt(d). Probes lie at this share around it.

ART's value. The paper's 1 / d is finer than float32 can tell, takes more queries a step, and ended further off (measured:
docs/decisions/2026-11-25-saved-images.md)."""

HALVINGS = 12
"""Steps are halved at most so often before one is given up."""

TINY = 1e-12


@final
@dataclass(frozen=True, kw_only=True)
class HopSkipJump:
    """Walk along the boundary towards the image, by decisions alone (Chen et al. 2020, algorithms 1 and 2; Linf and L2).

    From a random image that is decided wrong, back to the boundary by bisection; then again and again: the direction of the
    boundary from `samples` * sqrt(t) probes around it (their decisions, less the mean decision), a step of length
    distance / sqrt(t) along it, halved until it ends on the wrong side, and back to the boundary. The bisection ends at
    0.01 d^(-1/2) of the distance for d pixels, which is coarser than in the paper (see `FINEST`).

    It looks for the nearest wrong image. Within a threat it answers with that image where it lies inside; where it does not,
    with its projection if that is wrong too, and with the image itself if not. Sees only whether decisions are wrong.

    Cost per image: `queries` forward passes in float32, and one to judge a projection; no backward pass.
    """

    black_box: ClassVar[bool] = True
    minimal: ClassVar[bool] = True

    queries: int = 5000
    """Images that are tried, those of the random start included."""
    samples: int = 100
    """Probes behind the first direction."""
    early_stop: bool = True
    """Leave an image as soon as one inside eps is wrong as it would be saved; without, the distance is driven to its end."""

    def __post_init__(self) -> None:
        if self.queries < 2 or self.samples < 2:
            raise PlanError(f"queries and samples must be at least 2, got queries {self.queries} and samples {self.samples}")

    @torch.no_grad()
    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        deciding = Deciding(model, x, y, threat, queries=self.queries, early_stop=self.early_stop)
        finest = FINEST / math.sqrt(x[0].numel())
        rounds = math.ceil(-math.log2(finest))
        front = deciding.going(deciding.start(draws))
        front.x_t = deciding.bisect(front, rounds)
        for t in count(1):
            front = deciding.going(front, reserve=rounds + 2)
            if not len(front):
                return deciding.answer(draws)
            room = deciding.left(front) - rounds - 2
            wide = math.sqrt(x[0].numel()) * finest * l2_norm(front.x_t - front.x)
            probe = torch.full_like(wide, FIRST_PROBE) if t == 1 else wide
            slope = _slope(deciding, front, probe, room.clamp_max(int(self.samples * math.sqrt(t))), front.draws.fork("step", t))
            ball = threat.take(front.at)
            front.x_t = _stepped(deciding, front, ball.steepest(slope), ball.distance(front.x_t, front.x) / math.sqrt(t))
            front.x_t = deciding.bisect(front, rounds)
        raise AssertionError("count has no end")


def _slope(deciding: Deciding, front: Front, probe: PerImage, samples: Tensor, draws: Draws) -> Images:
    """The direction in which decisions turn wrong: the mean over unit directions u of (decision - mean decision) * u."""
    sums = front.x.new_zeros(len(front), 2, front.x[0].numel())  # of decision * u, and of u
    decisions, free = front.x.new_zeros(len(front)), deciding.free[front.at][:, None]
    here, far = front.x_t.contiguous()[:, None], probe[:, None, None, None, None]
    for first in range(0, int(samples.max()), PROBES):
        u = draws.fork(first).normal(like=here.expand(-1, PROBES, -1, -1, -1)).mul_(free)
        reach = far / l2_norm(u.flatten(0, 1)).clamp_min(TINY).view(len(front), PROBES, 1, 1, 1)
        shown = torch.addcmul(here, u, reach).clamp_(0, 1)
        asked = first + torch.arange(PROBES, device=front.at.device) < samples[:, None]
        row = asked.nonzero()[:, 0]
        many = Front(front.at[row], front.x[row], front.y[row], shown[asked], front.draws.take(row))
        decision = torch.zeros_like(asked, dtype=u.dtype).masked_scatter(asked, deciding.probe(many))
        sums += torch.stack((decision, asked.to(u.dtype)), 1) @ shown.sub_(here).div_(far).flatten(2)
        decisions += decision.sum(1)
    mean, (turned, plain) = decisions / samples, (part.view_as(front.x) for part in sums.unbind(1))
    agreed = mean.abs() >= 1 - 1e-6
    return torch.where(per_image(agreed, plain), plain * per_image(mean, plain), turned - plain * per_image(mean, plain))


def _stepped(deciding: Deciding, front: Front, direction: Images, length: PerImage) -> Images:
    """x_t + length * direction, the length halved until that is wrong; where it never is, x_t."""
    x_t, seeking = front.x_t.clone(), torch.ones_like(front.at, dtype=torch.bool)
    for halved in range(HALVINGS):
        some = front.only(seeking)
        ahead = per_image(length[seeking] * 0.5**halved, direction) * direction[seeking]
        some = Front(some.at, some.x, some.y, (some.x_t + ahead).clamp_(0, 1), some.draws)
        wrong = deciding.wrong(some)
        place = seeking.nonzero()[:, 0][wrong]
        x_t[place], seeking[place] = some.x_t[wrong], False
        if not bool(seeking.any()):
            break
    return x_t
