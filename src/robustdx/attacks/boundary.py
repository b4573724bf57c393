"""Boundary attack: a random walk along the decision boundary."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import ClassVar, final

import torch

from robustdx.attacks.loops.climb import Front
from robustdx.attacks.loops.deciding import Deciding
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Flags, Images, Labels, PerImage, l2_norm, per_image, total
from robustdx.threats import L2, Threat

BISECTIONS = 10
"""Rounds that bring the random start to the boundary."""

SPHERE_EVERY = 5
"""Every so many steps the sideways half of a step is asked for itself, to see how flat the boundary is."""

FACTOR = 1.5
"""By how much step sizes grow and shrink."""

TINY = 1e-12


@final
@dataclass(frozen=True, kw_only=True)
class Boundary:
    """A random walk among wrong images, sideways at the same distance and then nearer (Brendel et al. 2018, algorithm 1; L2).

    Each step goes `sideways` * distance in a random direction along the sphere around x and `nearer` * distance towards x, and is
    taken if that is still wrong. Both sizes follow the share of successes: the sideways one so that about half of the steps
    along the sphere are wrong, both so that one step in ten to one in four is taken.

    It looks for the nearest wrong image; for the answer within a threat see `hopskipjump`, which needs far fewer queries. Sees
    only whether decisions are wrong. Cost per image: `queries` forward passes in float32, and one to judge a projection.
    """

    black_box: ClassVar[bool] = True
    minimal: ClassVar[bool] = True

    queries: int = 5000
    """Images that are tried, those of the random start included."""
    sideways: float = 0.01
    """First size of the step along the sphere, as a share of the distance."""
    nearer: float = 0.01
    """First size of the step towards the image, as a share of the distance."""
    early_stop: bool = True
    """Leave an image as soon as one inside eps is wrong as it would be saved; without, the distance is driven to its end."""

    def __post_init__(self) -> None:
        if self.queries < 2:
            raise PlanError(f"queries must be at least 2, got {self.queries}")
        if not (self.sideways > 0 and 0 < self.nearer < 1):
            raise PlanError(f"sideways must be above 0 and nearer in (0, 1), got {self.sideways:g} and {self.nearer:g}")

    @torch.no_grad()
    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if not isinstance(getattr(threat, "threat", threat), L2):
            raise PlanError(f'boundary walks on spheres and knows the threat l2 only, got {type(threat).__name__}: take "hopskipjump"')
        if threat.eps == 0:
            return x.clone()
        deciding = Deciding(model, x, y, threat, queries=self.queries, early_stop=self.early_stop)
        front = deciding.going(deciding.start(draws))
        front.x_t = deciding.bisect(front, BISECTIONS)
        along = Pace(x.new_full((len(x),), self.sideways), window=10, low=0.2, high=0.5)
        ahead = Pace(x.new_full((len(x),), self.nearer), window=20, low=0.1, high=0.25)
        for t in count():
            front = deciding.going(front)
            if not len(front):
                return deciding.answer(draws)
            sphere, nearer = self._moves(deciding, front, along, ahead, front.draws.fork("step", t))
            if t % SPHERE_EVERY == 0:
                changed = along.saw(front, deciding.wrong(front_at(front, sphere)))
                ahead.size[front.at] *= changed
            wrong = deciding.wrong(front_at(front, nearer))
            ahead.saw(front, wrong)
            front.x_t = torch.where(per_image(wrong, nearer), nearer, front.x_t)
        raise AssertionError("count has no end")

    def _moves(self, deciding: Deciding, front: Front, along: Pace, ahead: Pace, draws: Draws) -> tuple[Images, Images]:
        """A point on the sphere around x beside x_t, and the same point brought nearer."""
        change = front.x_t - front.x
        distance = l2_norm(change).clamp_min(TINY)
        u = draws.normal(like=change).mul_(deciding.free[front.at])  # in place: as many images as queries pass through here
        u.addcmul_(change, per_image(-total(u * change) / distance**2, u))
        u.mul_(per_image(along.size[front.at] * distance / l2_norm(u).clamp_min(TINY), u)).add_(change)
        beside = torch.addcmul(front.x, u, per_image(distance / l2_norm(u).clamp_min(TINY), u)).clamp_(0, 1)
        change = beside - front.x
        reach = ((1 - ahead.size[front.at]) * distance / l2_norm(change).clamp_min(TINY)).clamp_max(1)
        return beside, torch.addcmul(front.x, change, per_image(reach, change)).clamp_(0, 1)


@dataclass
class Pace:
    """A step size for each image of the batch, which follows the share of successes in a window."""

    size: PerImage
    window: int
    low: float
    """Below this share the step shrinks."""
    high: float
    """Above it, it grows."""

    def __post_init__(self) -> None:
        self.tries, self.hits = torch.zeros_like(self.size), torch.zeros_like(self.size)

    def saw(self, front: Front, hit: Flags) -> PerImage:
        """Count a success or a failure for each image; gives the factor by which its step changed."""
        at = front.at
        self.tries[at] += 1
        self.hits[at] += hit.to(self.hits.dtype)
        full, share = self.tries[at] >= self.window, self.hits[at] / self.tries[at]
        factor = torch.ones_like(share)
        factor[full & (share > self.high)], factor[full & (share < self.low)] = FACTOR, 1 / FACTOR
        self.size[at] = (self.size[at] * factor).clamp_max(0.9)
        self.tries[at[full]], self.hits[at[full]] = 0, 0
        return factor


def front_at(front: Front, x_t: Images) -> Front:
    """The same images, elsewhere."""
    return Front(front.at, front.x, front.y, x_t, front.draws)
