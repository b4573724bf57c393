"""The attack of Carlini and Wagner."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from robustdx.attacks.loops.climb import Front, exact_from
from robustdx.attacks.loops.hyperplane import TINY, dot
from robustdx.attacks.loops.nearest import Nearest
from robustdx.attacks.loops.uphill import uphill
from robustdx.attacks.pgd import require_positive
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Flags, Images, Labels, PerImage, linf_norm, per_image
from robustdx.threats import Linf, Threat, everywhere

EDGE = 1 - 1e-6
"""How close to 0 and 1 a pixel may come in tanh space."""


FALL = 0.7
"""How Adam's first step falls from round to round."""

MORE = 6
"""Further rounds for images that no round has beaten yet."""


@final
@dataclass(frozen=True, kw_only=True)
class CW:
    """Weighs the size of the change against the margin, and searches the weight (Carlini & Wagner 2017, section V and VI).

        L2:    minimise |d|^2 + c * max(gap(x + d) + confidence, 0)
        Linf:  minimise sum_i max(|d_i| - tau, 0) + c * max(gap(x + d) + confidence, 0)

    over w with x + d = (tanh(w) + 1) / 2, by Adam. L2 searches the weight c, by factors of 4 until an image is beaten and then
    by bisection; Linf searches the bound tau in the same way. Deviations: the search begins at the c (or tau) that a linear
    model would need, read off the gradient at x, and each round at the nearest image found, which saves most of the paper's
    20 x 10,000 steps; Adam's step falls along a cosine.

    Cost per image: 1 + search_steps * steps (L2: 161) forward and backward passes, one backward pass for each rival at x (at most 10; none
    in a binary task), one forward pass more for each round, and 5 at the end. An image that is not beaten by then has up to 6
    rounds more. In a rough search one forward pass more for every ten.
    """

    minimal: ClassVar[bool] = True

    confidence: float = 0.0
    """By how many logits the decision must turn; 0 finds the nearest image."""
    steps: int = 80
    """Adam steps of each round."""
    search_steps: int | None = None
    """Rounds: values of c, or of tau. Left out, 2 under L2, where the first c is close and more win a per cent or two, and 6 under Linf."""
    lr: float = 0.5
    """Adam's first step, as a fraction of the typical change of a pixel that a linear model would need; it falls from round to round."""
    early_stop: bool = False
    """Leave an image as soon as one inside eps holds as it would be saved, without looking for the smallest distance."""

    def __post_init__(self) -> None:
        require_positive(self.steps, 1, None)
        if (self.search_steps is not None and self.search_steps < 1) or not self.lr > 0 or not self.confidence >= 0:
            raise PlanError(
                f"expected search_steps of at least 1, lr above 0 and a confidence of at least 0, "
                f"got {self.search_steps}, {self.lr:g} and {self.confidence:g}"
            )

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        nearest = Nearest(model, x, y, threat, draws, early_stop=self.early_stop, confidence=self.confidence)
        guess, size, steep = self._first(nearest)
        low, high, value = torch.zeros_like(guess), torch.full_like(guess, math.inf), guess
        rounds = self.search_steps or (6 if _by_pixel(threat) else 2)
        for i in range(rounds + MORE):
            never = nearest.distance.isinf()
            front = nearest.front(_inner(torch.where(per_image(never, x), x, nearest.x_adv)))
            front = front if i < rounds else front.only(never[front.at])
            if not len(front):
                break
            found = self._descend(nearest, front, value, size * FALL**i, steep)
            low, high = torch.where(found, low, value), torch.where(found, value, high)
            value = self._next(threat, nearest, low, high)
        nearest.tighten()
        return nearest.answer()

    def _first(self, nearest: Nearest) -> tuple[PerImage, PerImage, PerImage]:
        """From the gradient at x: the first c (Linf: tau), the typical change of a pixel, and the gradient's own size."""
        front = nearest.front()
        front.x_t = front.x.clone().requires_grad_()
        gaps, _ = nearest.look(front, exact=not nearest.model.rough)
        gap = nearest.aim(gaps, front)
        grad = uphill(gap, front.x_t)
        downhill = nearest.threat.take(front.at).steepest(grad)
        dual = dot(grad, downhill).clamp_min(TINY)
        far = (gap.detach() / dual).clamp(0, 1e3)
        size = far * downhill.flatten(1).square().mean(1).sqrt()
        return (far, size, linf_norm(grad)) if _by_pixel(nearest.threat) else (3 * far / dual, size, dual)

    def _descend(self, nearest: Nearest, front: Front, value: PerImage, size: PerImage, steep: PerImage) -> Flags:
        """One round of Adam: which images it beat, under Linf not further than tau."""
        found, first_exact = torch.zeros_like(value, dtype=torch.bool), exact_from(nearest.model, self.steps)
        w = torch.atanh(2 * front.x_t - 1)
        mean, square = torch.zeros_like(w), torch.zeros_like(w)
        for t in range(self.steps):
            w, threat = w.detach().requires_grad_(), nearest.threat.take(front.at)
            front.x_t = _shown(w, front, threat)
            gaps, beaten = nearest.look(front, exact=t >= first_exact)
            found[front.at] |= beaten & self._near(threat, front, value[front.at])
            cost = self._cost(threat, front, nearest.aim(gaps, front), value[front.at], steep[front.at])
            grad = uphill(cost, w)
            mean, square = 0.9 * mean + 0.1 * grad, 0.999 * square + 0.001 * grad * grad
            ahead = mean / (1 - 0.9 ** (t + 1)) / ((square / (1 - 0.999 ** (t + 1))).sqrt() + TINY)
            lr = self.lr * (0.01 + 0.99 * (1 + math.cos(math.pi * t / self.steps)) / 2)
            w = w.detach() - 2 * lr * per_image(size[front.at], w) * ahead
            stay = ~nearest.settled[front.at]
            if not bool(stay.all()):
                front, w, mean, square = front.only(stay), w[stay], mean[stay], square[stay]
            if not len(front):
                return found & nearest.distance.isfinite()
        with torch.no_grad():
            threat = nearest.threat.take(front.at)
            front.x_t = _shown(w, front, threat)
            _, beaten = nearest.look(front)
            found[front.at] |= beaten & self._near(threat, front, value[front.at])
        return found & nearest.distance.isfinite()

    def _cost(self, threat: Threat, front: Front, gap: PerImage, value: PerImage, steep: PerImage) -> PerImage:
        change = (front.x_t - front.x).flatten(1)
        if _by_pixel(threat):
            change = change / _share(front.x, threat).flatten(1).clamp_min(TINY)
            return (change.abs() - value[:, None]).clamp_min(0).sum(1) + 0.5 / steep.clamp_min(TINY) * gap.clamp_min(0)
        return change.square().sum(1) + value * gap.clamp_min(0)

    def _near(self, threat: Threat, front: Front, value: PerImage) -> Flags:
        """Linf: whether the bound is kept but for Adam's restlessness."""
        if not _by_pixel(threat):
            return torch.ones_like(value, dtype=torch.bool)
        return threat.distance(front.x_t.detach(), front.x) <= 1.05 * value

    def _next(self, threat: Threat, nearest: Nearest, low: PerImage, high: PerImage) -> PerImage:
        """The next c, or tau: upwards until an image is beaten, then between what failed and what did not."""
        if _by_pixel(threat):
            least = nearest.distance.minimum(high)
            return torch.where(least.isinf(), 2 * low, (low.maximum(0.8 * least).minimum(least) + least) / 2)
        return torch.where(high.isinf(), 4 * low, (low.maximum(high / 3) * high).sqrt())


def _by_pixel(threat: Threat) -> bool:
    """Whether each pixel counts for itself."""
    return isinstance(everywhere(threat), Linf)


def _share(x: Images, threat: Threat) -> Images:
    """What each pixel may use of a budget: 0 where it may not change."""
    return threat.steepest(torch.ones_like(x))


def _shown(w: Tensor, front: Front, threat: Threat) -> Images:
    """The image at w of tanh space; pixels that may not change stay."""
    return torch.where(_share(front.x, threat) > 0, (torch.tanh(w) + 1) / 2, front.x)


def _inner(x: Tensor) -> Tensor:
    """x moved off 0 and 1, where tanh space has no end."""
    return (2 * x - 1).mul(EDGE).add(1).div(2)
