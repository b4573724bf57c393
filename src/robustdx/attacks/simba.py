"""SimBA: one direction of a basis at a time, forwards or backwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from robustdx.attacks.loops.asking import Asking, reachable
from robustdx.attacks.loops.climb import Front
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Flags, Images, Labels, per_image
from robustdx.threats import Threat

Basis = Literal["dct", "pixel"]

TINY = 1e-12


@final
@dataclass(frozen=True, kw_only=True)
class SimBA:
    """Try x + step * q, then x - step * q, for the directions q of an orthogonal basis in random order (Guo et al. 2019, algorithm 1).

    A step is kept where the margin falls (the paper: the probability of the label), and put back into the threat. q has
    length 1 as the threat measures it. Cosines come in bands, the lowest frequencies first (section 3.2 and its strides), in
    random order within a band; when all directions were tried, they are tried again.

    Cost per image: 1 + queries forward passes at most, all in float32 (one step changes less than bfloat16 can tell), and with
    early stop one for each confirmation; no backward pass.
    """

    black_box: ClassVar[bool] = True

    queries: int = 5000
    """Images that are tried."""
    basis: Basis = "dct"
    """"dct": cosines over the whole image; "pixel": one channel of one pixel at a time."""
    band: float = 1 / 8
    """Width of a band of frequencies as a share of the image's side; the paper takes 28 of 224."""
    step_size: float | None = None
    """Length of a step as a fraction of eps; left out, 0.8 under Linf and 0.2 under L2."""
    early_stop: bool = True
    """Leave an image as soon as every decision on it is wrong: right for accuracy, wrong for AUROC and other rankings."""

    def __post_init__(self) -> None:
        if self.queries < 1 or not 0 < self.band <= 1:
            raise PlanError(f"queries must be at least 1 and band lie in (0, 1], got queries {self.queries} and band {self.band:g}")
        if self.step_size is not None and not self.step_size > 0:
            raise PlanError(f"step_size must be above 0 (it is a fraction of eps), got {self.step_size:g}")

    @torch.no_grad()
    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        asking = Asking(model, x, y, threat, draws, early_stop=self.early_stop)
        front = asking.front(x, draws)
        if len(front):
            self._search(asking, front, threat)
        return asking.worst.x_adv

    def _search(self, asking: Asking, front: Front, threat: Threat) -> None:
        step = threat.eps * (min(1.0, 2 / threat.travel) if self.step_size is None else self.step_size)
        best = asking.best(front)
        free = reachable(threat, asking.x)
        order = self._order(front, free[front.at])
        place, sign = torch.zeros_like(front.at), front.x.new_ones(len(front))
        for _ in range(self.queries):
            here, ball = front.x_t, threat.take(front.at)
            direction = self._direction(order.gather(1, (place % order.shape[1])[:, None])[:, 0], here) * free[front.at]
            direction *= per_image(step * sign / ball.distance(direction, torch.zeros_like(here)).clamp_min(TINY), here)
            front.x_t = ball.project(here + direction, front.x)
            seen = asking.ask(front, exact=True)
            better = seen.worse_than(best)
            gone = asking.settle(front, seen, better)
            front.x_t = torch.where(per_image(better, here), front.x_t, here)
            best = seen.where(better, best)
            back = ~better & (sign > 0)
            place, sign = place + (~back).long(), torch.where(back, -1.0, 1.0).to(sign)
            if bool(gone.any()):
                asking.keep(front.only(gone), best.only(gone))
                front, best, order, place, sign = front.only(~gone), best.only(~gone), order[~gone], place[~gone], sign[~gone]
            if not len(front):
                return
        asking.keep(front, best)

    def _order(self, front: Front, free: Flags) -> Tensor:
        """(B, directions): the numbers of the directions in the order in which each image tries them; closed pixels come last."""
        c, h, w = front.x.shape[1:]
        band = torch.zeros(h, w)
        if self.basis == "dct":
            width = max(1, math.ceil(self.band * max(h, w)))
            band = (torch.maximum(torch.arange(h)[:, None], torch.arange(w)) // width).float()
        chance = front.draws.fork("order").uniform(0, 1, like=torch.empty(len(front), c, h, w))
        closed = 2.0 * ~free.cpu() if self.basis == "pixel" else 0.0
        return (chance + band + closed).flatten(1).argsort(1).to(front.x.device)

    def _direction(self, number: Tensor, like: Images) -> Images:
        """The direction of each image by its number."""
        h, w = like.shape[2:]
        channel, row, column = number // (h * w), number // w % h, number % w
        image = torch.arange(len(number), device=like.device)
        direction = torch.zeros_like(like)
        if self.basis == "pixel":
            direction[image, channel, row, column] = 1
        else:
            direction[image, channel] = _cosine(row, h, like)[:, :, None] * _cosine(column, w, like)[:, None, :]
        return direction


def _cosine(frequency: Tensor, size: int, like: Images) -> Tensor:
    """The cosines (B, size) of the discrete cosine transform (DCT-II): cos(pi * frequency * (i + 1/2) / size)."""
    where = torch.arange(size, device=like.device, dtype=like.dtype) + 0.5
    return (frequency[:, None].to(like.dtype) * where * (math.pi / size)).cos()
