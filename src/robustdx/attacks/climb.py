"""Projected gradient ascent, written once: every iterative attack is a setting of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.tensors import Flags, Images, Labels, PerImage, per_image
from robustdx.threats import Threat

Keep = Literal["worst", "last"]

EXACT = 1 / 8
"""Share of the steps, the last ones, that a rough search takes in float32."""

SLACK = 1e-5
"""How far beyond eps float32 may place an image, as a share of eps."""


class Worst:
    """The worst image found so far for each x: most wrong decisions first, then the highest loss."""

    def __init__(self, x: Images) -> None:
        self.x_adv = x.clone()
        self.errors = x.new_full((len(x),), -1.0)
        self.loss = x.new_full((len(x),), -torch.inf)
        self.beaten = torch.zeros(len(x), dtype=torch.bool, device=x.device)

    def keep(self, at: Tensor, x_adv: Images, errors: PerImage, loss: PerImage) -> None:
        """Keep those of x_adv, candidates for x[at], that are worse than what is kept."""
        worse = (errors > self.errors[at]) | ((errors == self.errors[at]) & (loss > self.loss[at]))
        at = at[worse]
        self.x_adv[at], self.errors[at], self.loss[at] = x_adv[worse], errors[worse], loss[worse]

    def beat(self, at: Tensor, x_adv: Images) -> None:
        """Settle x[at] for good: x_adv turns every decision."""
        self.x_adv[at], self.errors[at], self.loss[at], self.beaten[at] = x_adv, 1.0, torch.inf, True


@dataclass
class Front:
    """The images that a climb is still working on."""

    at: Tensor
    """(B,) where they stand in the batch."""
    x: Images
    y: Labels
    x_t: Images
    """Where the climb has got to."""
    draws: Draws

    def __len__(self) -> int:
        return len(self.at)

    def only(self, flags: Flags) -> Front:
        """Those with a flag; no copy when all have one."""
        if bool(flags.all()):
            return self
        return Front(self.at[flags], self.x[flags], self.y[flags], self.x_t[flags], self.draws.take(flags))


@dataclass(frozen=True)
class Climb:
    """x_{t+1} = project(x_t + step_size * eps * steepest(grad loss(x_t))), for `steps` steps from given starts.

    keep="worst" keeps the worst of x_1 .. x_T; keep="last" takes x_T unseen and spares the forward pass that judges it.
    With `early_stop` an image leaves as soon as every decision is wrong, confirmed in float32 on the image as it would be
    saved; the others go on alone. A rough search (bfloat16) takes the last eighth of its steps in float32, which finds what
    rounding hid, and keeps the worst of these. Cost per image: `steps` forward and backward passes, one forward pass more for
    keep="worst", and with early stop one for each confirmation.
    """

    steps: int
    step_size: float
    early_stop: bool = False
    keep: Keep = "worst"

    def __call__(self, model: Model, front: Front, threat: Threat, worst: Worst) -> None:
        """Climb from `front.x_t` and leave what was found in `worst`."""
        exact_from = self.steps - math.ceil(self.steps * EXACT) if model.rough else 0
        for t in range(self.steps):
            front.x_t = front.x_t.detach().requires_grad_()
            loss, beaten = self._judge(model, front, threat, worst, exact=t >= exact_from, candidate=t > 0)
            if bool(beaten.all()):
                return
            (grad,) = torch.autograd.grad(loss.sum(), front.x_t)
            front.x_t = front.x_t.detach()
            front, grad = front.only(~beaten), grad if not bool(beaten.any()) else grad[~beaten]
            ball = threat.take(front.at)
            step = self.step_size * ball.eps * ball.steepest(grad.nan_to_num_(nan=0.0))
            front.x_t = ball.project(front.x_t + step, front.x)
        if self.keep == "worst":
            with torch.no_grad():
                self._judge(model, front, threat, worst, exact=True, candidate=True)
        else:
            worst.x_adv[front.at] = front.x_t

    def _judge(self, model: Model, front: Front, threat: Threat, worst: Worst, *, exact: bool, candidate: bool) -> tuple[PerImage, Flags]:
        """The loss at x_t, and which images it beats. What was seen roughly, or is a start, is kept only if it beats one."""
        outputs = (model.exact if exact else model)(front.x_t, front.draws)
        loss = model.task.loss(outputs, front.y)
        with torch.no_grad():
            errors = model.task.errors(outputs, front.y)
            if exact and candidate and self.keep == "worst":
                worst.keep(front.at, front.x_t.detach(), errors, loss.detach())
            beaten = confirmed(model, front, threat, worst, errors == 1) if self.early_stop else torch.zeros_like(errors, dtype=torch.bool)
        return loss, beaten


def confirmed(model: Model, front: Front, threat: Threat, worst: Worst, claimed: Flags) -> Flags:
    """Of the claimed successes, those that hold in float32, on the image as it would be saved: that image is then settled.

    Below one step of the grid nothing but the clean image can be saved; there the image as found is judged.
    """
    if not bool(claimed.any()):
        return claimed
    some = front.only(claimed)
    threat = threat.take(some.at)
    shown = threat.snap(some.x_t.detach(), some.x) if threat.savable else some.x_t.detach()
    holds = model.task.errors(model.exact(shown, some.draws), some.y) == 1
    inside = threat.distance(shown, some.x) <= threat.eps * (1 + SLACK)  # it may not be where x itself is not on the grid
    worst.beat(some.at[holds], torch.where(per_image(inside, some.x), shown, some.x_t.detach())[holds])
    return claimed.masked_scatter(claimed, holds)
