"""The climb of APGD: momentum, a step of its own for each image, halved where the climb gets nowhere."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from robustdx.attacks.loops.climb import Front, Worst, confirmed, exact_from
from robustdx.attacks.loops.hyperplane import TINY
from robustdx.attacks.loops.surrogates import Surrogate
from robustdx.attacks.loops.uphill import uphill
from robustdx.attacks.protocol import Model
from robustdx.tasks import Aimed
from robustdx.tensors import Flags, Images, PerImage, per_image, total
from robustdx.threats import Linf, Threat, everywhere

MOMENTUM = 0.75

CARRIED = 0.75
"""Share of the last gradient that is carried into the next where a goal is asked for under Linf."""


def checkpoints(steps: int) -> list[int]:
    """After which steps the step size is looked at: gaps from 22 % of all steps down to 6 % (Croce & Hein 2020, section 3.2).

    >>> checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    places, p, before = [], 0.22, 0.0
    while (place := math.ceil(round(p * steps, 6))) < steps:
        places.append(place)
        p, before = p + max(p - before - 0.03, 0.06), p
    return places


@dataclass
class State:
    """What APGD remembers of each image; row i of everything belongs to image i of the front."""

    before: Images
    """x_{t-1}."""
    x_best: Images
    grad_best: Images
    loss_best: PerImage
    loss: PerImage
    """At the last step."""
    step: PerImage
    """Its length, in pixel units."""
    rises: PerImage
    """Steps since the last checkpoint that raised the loss."""
    best_before: PerImage
    """loss_best at the last checkpoint."""
    halved: Flags
    """Whether the step was halved there."""
    carried: Images
    """The sum of all gradients so far, older ones less."""

    @classmethod
    def at(cls, front: Front, step: float) -> State:
        low = torch.full_like(front.x[:, 0, 0, 0], -torch.inf)
        none = torch.zeros_like(low, dtype=torch.bool)
        x = front.x_t
        sizes, rises, flat = low.new_full(low.shape, step), low.new_zeros(low.shape), torch.zeros_like(x)
        return cls(x, x.clone(), flat, low.clone(), low.clone(), sizes, rises, low, none, flat)

    def only(self, flags: Flags) -> State:
        return replace(self, **{f.name: getattr(self, f.name)[flags] for f in fields(self)})

    def carry(self, grad: Images) -> Images:
        """The gradient, each of size 1, with what is carried from those before."""
        self.carried = CARRIED * self.carried + grad / per_image(total(grad.abs()).clamp_min(TINY), grad)
        return self.carried

    def see(self, x_t: Images, loss: PerImage, grad: Images) -> None:
        """Take note of where the climb stands."""
        better = loss > self.loss_best
        self.rises = self.rises + (loss > self.loss)
        self.loss, self.loss_best = loss, torch.where(better, loss, self.loss_best)
        self.x_best = torch.where(per_image(better, x_t), x_t, self.x_best)
        self.grad_best = torch.where(per_image(better, x_t), grad, self.grad_best)

    def check(self, span: int, rho: float) -> Flags:
        """Whose step is halved: too few steps raised the loss, or nothing better came since the last checkpoint."""
        few = self.rises < rho * span
        stuck = ~self.halved & (self.best_before >= self.loss_best)
        self.halved = few | stuck
        self.step = torch.where(self.halved, self.step / 2, self.step)
        self.best_before, self.rises = self.loss_best, torch.zeros_like(self.rises)
        return self.halved


@dataclass(frozen=True)
class Ascent:
    """Auto-PGD from given starts (Croce & Hein 2020, algorithm 1), for each image on its own:

        z = project(x_t + step * steepest(grad));   x_{t+1} = project(x_t + 0.75 (z - x_t) + 0.25 (x_t - x_{t-1}))

    The step begins at 2 eps. At a checkpoint it is halved, and the climb goes back to its best point, where fewer than `rho` of the
    steps since the last one raised the loss, or nothing better came. Under Linf and a goal, which may ask that several decisions turn at
    once, gradients are carried on from step to step: the sign of one serves one decision, and undoes what the last did for another
    (with it all findings of a linear model fall at 2 % above the smallest budget: tests/attacks/test_validity.py). A rough search
    takes its last eighth in float32, from the best point it knows. Cost per image: `steps` forward and backward passes, one
    forward pass at the end, one for each confirmation.
    """

    surrogate: Surrogate
    steps: int
    rho: float
    early_stop: bool

    def __call__(self, model: Model, front: Front, threat: Threat, worst: Worst) -> None:
        """Climb from `front.x_t` and leave what was found in `worst`."""
        state = State.at(front, 2 * threat.eps)
        marks, carries = checkpoints(self.steps), isinstance(model.task, Aimed) and isinstance(everywhere(threat), Linf)
        first_exact = exact_from(model, self.steps)
        for t in range(self.steps):
            if t == first_exact and t:
                front.x_t, state.loss_best = state.x_best, torch.full_like(state.loss_best, -torch.inf)
            loss, grad, beaten = self._look(model, front, threat, worst, exact=t >= first_exact)
            if bool(beaten.any()):
                if bool(beaten.all()):
                    return
                stay = ~beaten
                front, state, loss, grad = front.only(stay), state.only(stay), loss[stay], grad[stay]
            grad = state.carry(grad) if carries else grad
            state.see(front.x_t, loss, grad)
            if t in marks:
                back = per_image(state.check(t - max([0, *[m for m in marks if m < t]]), self.rho), grad)
                front.x_t, grad = torch.where(back, state.x_best, front.x_t), torch.where(back, state.grad_best, grad)
            front.x_t, state.before = _step(threat.take(front.at), front, state, grad, first=t == 0), front.x_t
        self._judge(model, front, threat, worst)

    def _look(self, model: Model, front: Front, threat: Threat, worst: Worst, *, exact: bool) -> tuple[PerImage, Images, Flags]:
        """Loss and gradient at x_t, and which images are beaten for good."""
        x_t = front.x_t.detach().requires_grad_()
        outputs = (model.exact if exact else model)(x_t, front.draws)
        loss = self.surrogate(outputs, front.y, front.at)
        grad = uphill(loss, x_t)
        with torch.no_grad():
            errors = model.task.errors(outputs, front.y)
            if exact:
                worst.keep(front.at, front.x_t, errors, model.task.loss(outputs, front.y))
            if self.early_stop:
                confirmed(model, front, threat, worst, errors == 1)
        return loss.detach(), grad, worst.beaten[front.at]

    @torch.no_grad()
    def _judge(self, model: Model, front: Front, threat: Threat, worst: Worst) -> None:
        """Look at the last point, which no gradient is asked of."""
        outputs = model.exact(front.x_t, front.draws)
        errors = model.task.errors(outputs, front.y)
        worst.keep(front.at, front.x_t, errors, model.task.loss(outputs, front.y))
        if self.early_stop:
            confirmed(model, front, threat, worst, errors == 1)


def _step(threat: Threat, front: Front, state: State, grad: Tensor, *, first: bool) -> Images:
    x_t = front.x_t
    z = threat.project(x_t + per_image(state.step, grad) * threat.steepest(grad), front.x)
    return z if first else threat.project(x_t + MOMENTUM * (z - x_t) + (1 - MOMENTUM) * (x_t - state.before), front.x)
