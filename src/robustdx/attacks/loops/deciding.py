"""What the label-only attacks share: a wrong image to start from, the way back towards x, and the nearest wrong image so far."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.attacks.loops.asking import left, reachable
from robustdx.attacks.loops.climb import SLACK, Front, Worst, confirmed
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.tensors import Flags, Images, Labels, PerImage, per_image
from robustdx.threats import Linf, Threat

STARTS = 200
"""Random images that are tried for each x before it is given up."""

GRIDS = (0, 1, 2, 4, 8, 16)
"""Sides of the coarse grids of colours that random images are made of, in turn; 0 is a colour of its own for each pixel."""

ROWS = 64
"""Images of one call at most, where each x has several."""

TINY = 1e-12


class Deciding:
    """The queries of one attack on one batch, which sees decisions only.

    An image counts as wrong with as many wrong decisions as the random image had from which its search began: one where there
    is one decision, and where there are several, all of them if any such image was found. Every query is in float32: near a
    decision boundary bfloat16 sees another boundary.
    """

    def __init__(self, model: Model, x: Images, y: Labels, threat: Threat, *, queries: int, early_stop: bool) -> None:
        self.model, self.x, self.y, self.threat = model, x, y, threat
        self.queries, self.early_stop = queries, early_stop
        self.free = reachable(threat, x)
        self.asked = torch.zeros(len(x), dtype=torch.long, device=x.device)
        self.level = x.new_ones(len(x))
        """Share of wrong decisions from which an image counts as wrong."""
        self.nearest, self.distance = x.clone(), x.new_full((len(x),), math.inf)
        self.worst = Worst(x)
        """What was beaten inside the threat and confirmed as saved; those images are done."""

    def start(self, draws: Draws) -> Front:
        """For each x a random image that is wrong; those without any are left out, as are those that are wrong themselves.

        Where there are several decisions, of all random images the one with the most wrong decisions.
        """
        front = Front(torch.arange(len(self.x), device=self.x.device), self.x, self.y, self.x, draws)
        clean = self._errors(front)
        self.distance[clean == 1] = 0
        most, x_t = clean.clone(), self.x.clone()
        for k in range(STARTS):
            some = front.only((most < 1) & (self.left(front) > 0))
            if not len(some):
                break
            grid, sharp = GRIDS[k % len(GRIDS)], k // len(GRIDS) % 2 == 1
            noise = random_images(some.x, grid, some.draws.fork("start", k), sharp=sharp)
            some.x_t = torch.where(self.free[some.at], noise, some.x)
            errors = self._errors(some)
            more = errors > most[some.at]
            most[some.at[more]], x_t[some.at[more]] = errors[more], some.x_t[more]
        self.level = most
        begun = most > clean
        front.x_t = x_t
        front = front.only(begun)
        self._keep(front, torch.ones_like(front.at, dtype=torch.bool))
        return front

    def left(self, front: Front) -> Tensor:
        """How many queries each image has left: of the attack's own, and of the black box's."""
        return (self.queries - self.asked[front.at]).minimum(left(self.model, front.draws).to(self.asked))

    def going(self, front: Front, reserve: int = 0) -> Front:
        """Those that are not beaten and have more queries left than the reserve."""
        return front.only(~self.worst.beaten[front.at] & (self.left(front) > reserve))

    def wrong(self, front: Front) -> Flags:
        """Whether x_t is wrong: one query for each image that has one left; nobody knows of the others, so they are not."""
        can = self.left(front) > 0
        if not bool(can.any()):
            return can
        some = front.only(can)
        found = self._errors(some) >= self.level[some.at]
        self._keep(some, found)
        return can.masked_scatter(can, found)

    def probe(self, front: Front) -> PerImage:
        """1 where x_t is wrong and -1 where it is not; an image may come several times. The caller sees to the queries left."""
        self.asked.index_add_(0, front.at, torch.ones_like(front.at))
        shown = zip(*(part.split(ROWS) for part in (front.x_t, front.y, front.at)), batches(front.draws), strict=True)
        wrong = [self.model.task.errors(self.model.exact(x_t, draws), y) >= self.level[at] for x_t, y, at, draws in shown]
        return torch.cat(wrong).to(front.x.dtype) * 2 - 1

    def bisect(self, front: Front, rounds: int) -> Images:
        """From wrong images x_t back towards x, up to the last that is still wrong. Cost per image: `rounds` queries."""
        low, high = front.x.new_zeros(len(front)), front.x.new_ones(len(front))
        far, ball = front.x_t, self.threat.take(front.at)
        distance = ball.distance(far, front.x)
        for _ in range(rounds):
            middle = (low + high) / 2
            front.x_t = back(ball, front.x, far, distance * middle)
            wrong = self.wrong(front)
            low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
        return torch.where(per_image(high < 1, far), back(ball, front.x, far, distance * high), far)

    def answer(self, draws: Draws) -> Images:
        """What was beaten inside the threat; where nothing was, the nearest wrong image's projection if it is worse than x, or x."""
        inside = self.distance <= self.threat.eps * (1 + SLACK)
        answer = torch.where(per_image(inside, self.x), self.nearest, self.x)
        front = Front(torch.arange(len(self.x), device=self.x.device), self.x, self.y, self.nearest, draws)
        front = front.only(~inside & (self.distance < math.inf) & (left(self.model, draws).to(self.asked) > 0))
        if len(front):
            front.x_t = self.threat.take(front.at).project(front.x_t, front.x)
            beaten = self._errors(front) >= self.level[front.at]
            answer[front.at[beaten]] = front.x_t[beaten]
        return torch.where(per_image(self.worst.beaten, self.x), self.worst.x_adv, answer)

    def _errors(self, front: Front) -> PerImage:
        """The share of wrong decisions at x_t: one query for each image."""
        self.asked[front.at] += 1
        return self.model.task.errors(self.model.exact(front.x_t, front.draws), front.y)

    def _keep(self, front: Front, wrong: Flags) -> None:
        """Take over what is nearer than what is kept; with early stop, show what lies inside the threat as it would be saved."""
        distance = self.threat.take(front.at).distance(front.x_t, front.x)
        nearer = wrong & (distance < self.distance[front.at])
        at = front.at[nearer]
        self.nearest[at], self.distance[at] = front.x_t[nearer], distance[nearer]
        inside = nearer & (distance <= self.threat.eps * (1 + SLACK)) & (self.left(front) > 0) & (self.level[front.at] == 1)
        if self.early_stop and bool(inside.any()):
            some = front.only(inside)
            reach = self.threat.eps / distance[inside].clamp_min(TINY)
            shown = self.threat.take(some.at).project(some.x + (some.x_t - some.x) * per_image(reach, some.x), some.x)
            self.asked[some.at] += 1
            far = Front(some.at, some.x, some.y, shown, some.draws)
            confirmed(self.model, far, self.threat, self.worst, torch.ones_like(some.at, dtype=torch.bool))


def back(threat: Threat, x: Images, far: Images, distance: PerImage) -> Images:
    """`far` brought to a smaller distance: along the line, or under Linf by cutting off what reaches further."""
    if isinstance(getattr(threat, "threat", threat), Linf):
        reach = per_image(distance, x) * threat.steepest(torch.ones_like(x))
        return far.clamp(x - reach, x + reach)
    return x + (far - x) * per_image(distance / threat.distance(far, x).clamp_min(TINY), x)


def batches(draws: Draws) -> list[Draws]:
    """The draws of at most `ROWS` images at a time."""
    return [draws.take(range(i, min(i + ROWS, len(draws.ids)))) for i in range(0, len(draws.ids), ROWS)]


def random_images(like: Images, grid: int, draws: Draws, *, sharp: bool) -> Images:
    """Random colours on a grid of so many cells a side, 0 for a cell a pixel; sharp ones are 0 or 1, and reach further.

    Noise alone looks like one class to many a network.
    """
    sides = (min(grid, n) if grid else n for n in like.shape[2:])
    cells = draws.uniform(0, 1, like=like.new_empty(*like.shape[:2], *sides))
    return F.interpolate(cells.round() if sharp else cells, like.shape[2:], mode="nearest")
