"""The fast adaptive boundary attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from robustdx.attacks.loops.climb import Front, exact_from
from robustdx.attacks.loops.hyperplane import TINY, closest, dot, onto, slopes
from robustdx.attacks.loops.lanes import Walks, together
from robustdx.attacks.loops.nearest import RIVALS, Nearest
from robustdx.attacks.pgd import require_positive
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Classes, Flags, Images, Labels, PerImage, per_image
from robustdx.threats import Threat

PATIENCE = 10
"""Steps after which an image for which nothing is found yet is no longer drawn back: several decisions have to turn at once."""


@final
@dataclass(frozen=True, kw_only=True)
class FAB:
    """Walks along the decision boundary, drawn towards x (Croce & Hein 2020, "Minimally distorted...", algorithm 1).

    At x_t the nearest boundary is taken for a hyperplane, onto which x_t and x are projected inside [0, 1], exactly:

        x_{t+1} = clamp((1 - a) (x_t + eta d_t) + a (x + eta d)),   a = min(|d_t| / (|d_t| + |d|), alpha_max)

    and a beaten x_t is drawn back to x + beta (x_t - x) first. The paper judges x_{t+1} with a forward pass and takes the
    hyperplane at the point drawn back with another; here the hyperplane at x_t serves for both, which saves one pass of three.
    With `targets`, one walk for each of the rivals whose boundary is nearest as its slope at x tells (FAB-T; AutoAttack takes those
    with the highest scores). Linf and L2.

    Where several decisions have to turn at once (all findings, a named class) FMN ends nearer: a walk follows one hyperplane.

    Cost per image: restarts * steps forward passes, and as many backward passes times the rivals (at most 10, one in a binary
    task), or with `targets` restarts * targets * steps of both, and one backward pass for each rival (at most 10); for each walk one
    forward pass more, and 5 at the end. In a rough search one forward pass more for every ten.
    """

    minimal: ClassVar[bool] = True

    steps: int = 100
    """Steps of each walk."""
    restarts: int = 1
    """Walks: the first begins at the image, others at random points nearer to it than the nearest found."""
    targets: int | None = None
    """Walk to each of so many of the nearest rivals on their own (FAB-T: 9, at most 10); left out, always to the nearest of all."""
    alpha_max: float = 0.1
    """How strongly the walk is drawn to the image at most."""
    eta: float = 1.05
    """How far beyond the hyperplane a step goes."""
    beta: float = 0.9
    """Where between the image and a beaten one the walk goes on."""
    early_stop: bool = False
    """Leave an image as soon as one inside eps is found: right in a cascade, wrong for the smallest distance."""

    def __post_init__(self) -> None:
        require_positive(self.steps, self.restarts, None)
        if self.targets is not None and not 1 <= self.targets <= RIVALS:
            raise PlanError(f"targets must lie from 1 to {RIVALS}, got {self.targets}: leave it out to walk to the nearest rival")
        if not (0 <= self.alpha_max <= 1 and self.eta >= 1 and 0 < self.beta < 1):
            raise PlanError(
                f"expected alpha_max in [0, 1], eta of at least 1 and beta in (0, 1), got {self.alpha_max:g}, {self.eta:g}, {self.beta:g}"
            )

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        nearest = Nearest(model, x, y, threat, draws, early_stop=self.early_stop)
        rivals = None if self.targets is None else self._rivals(nearest, self.targets)
        for i in range(self.restarts):
            stream = draws.fork("restart", i)
            front = nearest.front(self._start(nearest, stream) if i else None, stream)
            if rivals is not None:
                self._in_lanes(nearest, front, rivals, stream)
            elif len(front):
                self._walk(nearest, front, None)
        nearest.tighten()
        return nearest.answer()

    def _rivals(self, nearest: Nearest, targets: int) -> Tensor:
        """(B, R): the rivals of each image, nearest first; -1 where it has no more."""
        front = nearest.front()
        front.x_t = front.x.clone().requires_grad_()
        gaps, _ = nearest.look(front)
        far = nearest.far(gaps, front)
        order = far.argsort(1)[:, : min(targets, int(far.isfinite().sum(1).amax()))]
        return order.masked_fill(far.gather(1, order).isinf(), -1)

    def _in_lanes(self, nearest: Nearest, begin: Front, rivals: Tensor, draws: Draws) -> None:
        """A walk to each rival, from where `begin` stands."""
        start, known = nearest.x.clone(), (nearest.x_adv.clone(), nearest.distance.clone(), nearest.gap.clone())
        start[begin.at] = begin.x_t
        for image, turn in together(nearest.model, nearest.x, rivals >= 0, lambda: ~nearest.settled):
            walks = Walks(nearest, known, (image, turn))
            front = Front(torch.arange(len(image), device=image.device), walks.x, walks.y, start[image], draws.take(image))
            self._walk(walks, front, rivals[image, turn])
            walks.into(nearest)

    def _start(self, nearest: Nearest, draws: Draws) -> Images:
        """A random point, half as far as the nearest beaten image, or as eps (section 3.3)."""
        threat, x = nearest.threat, nearest.x
        change = threat.sample(x, draws) - x
        length = threat.distance(x + change, x).clamp_min(TINY)
        reach = nearest.distance.clamp_max(threat.eps) / 2
        return (x + change * per_image(reach / length, x)).clamp(0, 1)

    def _walk(self, nearest: Nearest, front: Front, rival: Classes | None) -> None:
        first_exact = exact_from(nearest.model, self.steps)
        for t in range(self.steps):
            front.x_t = front.x_t.detach().requires_grad_()
            gaps, _ = nearest.look(front, exact=t >= first_exact)
            over = gaps.detach().amin(1) < 0  # also by less than what counts as beaten: else the walk would end on the boundary
            gaps = gaps if rival is None else gaps.gather(1, rival[front.at][:, None])
            values, grads = slopes(gaps, front.x_t, RIVALS)
            ball = nearest.threat.take(front.at)
            value, slope = closest(ball, values, grads)
            lost = nearest.least[front.at].isinf() & (t >= PATIENCE)
            front.x_t = self._step(ball, front, value, slope, over, torch.where(lost, 0, self.alpha_max))
            front = front.only(~nearest.settled[front.at])
            if not len(front):
                return
        with torch.no_grad():
            nearest.look(front)

    def _step(self, threat: Threat, front: Front, value: PerImage, slope: Images, over: Flags, most: PerImage) -> Images:
        """Towards the hyperplane from where the walk stands, drawn to where it is nearest to x."""
        x, x_t = front.x, front.x_t.detach()
        here = torch.where(per_image(over, x), x + self.beta * (x_t - x), x_t)
        from_here = onto(threat, here, value + dot(slope, here - x_t), slope)
        from_x = onto(threat, x, value + dot(slope, x - x_t), slope)
        a, b = threat.distance(from_here, here), threat.distance(from_x, x)
        alpha = per_image((a / (a + b).clamp_min(TINY)).minimum(most), x)
        return ((1 - alpha) * (here + self.eta * (from_here - here)) + alpha * (x + self.eta * (from_x - x))).clamp(0, 1)
