"""Projected gradient ascent, written once: every iterative attack is a setting of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

from robustdx.attacks.loops.uphill import uphill
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.tasks import Task
from robustdx.tensors import Flags, Images, Labels, Outputs, PerImage, per_image
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

    @classmethod
    def whole(cls, x: Images, y: Labels, start: Images, draws: Draws) -> Front:
        """All images of a batch, at their starts."""
        return cls(torch.arange(len(x), device=x.device), x, y, start, draws)

    def __len__(self) -> int:
        return len(self.at)

    def only(self, flags: Flags) -> Front:
        """Those with a flag; no copy when all have one."""
        if bool(flags.all()):
            return self
        return Front(self.at[flags], self.x[flags], self.y[flags], self.x_t[flags], self.draws.take(flags))


@dataclass
class View:
    """What a climb sees at step `t` of the images that it goes on with."""

    t: int
    ask: Callable[[Images, Draws], Outputs]
    """The model, in the precision of this step."""
    task: Task
    threat: Threat
    """The threat to the images of `front`."""
    step: float
    """Length of a step, in pixel units."""
    front: Front
    """The images, and the draws of this step."""
    outputs: Outputs
    """The outputs at x_t; empty for a slope that looks elsewhere."""
    leaf: Images
    """Where the outputs came from, with the images that have just been beaten."""
    going: Flags | None
    """Which images of `leaf` go on; None: all of them."""

    def uphill(self, objective: PerImage) -> Images:
        """The gradient at x_t of an objective of `outputs`. Cost: one backward pass."""
        grad = uphill(objective, self.leaf)
        return grad if self.going is None else grad[self.going]

    def uphill_from(self, z: Images, shown: Callable[[Images], Images] | None = None) -> Images:
        """The gradient with respect to z of the loss at z, or at `shown(z)`. Cost: a forward and a backward pass."""
        z = z.detach().requires_grad_()
        outputs = self.ask(z if shown is None else shown(z), self.front.draws)
        return uphill(self.task.loss(outputs, self.front.y), z)


class Slope(Protocol):
    """The direction that a climb follows in place of the gradient. One that remembers its steps is made anew for each climb."""

    @property
    def elsewhere(self) -> bool:
        """Whether it looks only at other points than x_t, which is then judged by a forward pass of its own."""
        ...

    def __call__(self, view: View) -> Images: ...


class Gradient:
    """The gradient of the loss at x_t: the slope of FGSM, BIM and PGD."""

    elsewhere = False

    def __call__(self, view: View) -> Images:
        return view.uphill(view.task.loss(view.outputs, view.front.y))


GRADIENT = Gradient()


@dataclass(frozen=True)
class Climb:
    """x_{t+1} = project(x_t + step_size * eps * steepest(slope(x_t))), for `steps` steps from given starts.

    keep="worst" keeps the worst of x_1 .. x_T; keep="last" takes x_T unseen and spares the forward pass that judges it.
    With `early_stop` an image leaves as soon as every decision is wrong, confirmed in float32 on the image as it would be
    saved; the others go on alone. A rough search (bfloat16) takes the last eighth of its steps in float32, which finds what
    rounding hid, and keeps the worst of these. A stochastic model draws anew at each step. Cost per image: `steps` forward and
    backward passes (or those of the slope), one forward pass more for keep="worst", and with early stop one for each
    confirmation; one more in each step where a slope that looks elsewhere leaves x_t to be judged.
    """

    steps: int
    step_size: float
    early_stop: bool = False
    keep: Keep = "worst"

    def __call__(self, model: Model, front: Front, threat: Threat, worst: Worst, slope: Slope = GRADIENT) -> None:
        """Climb from `front.x_t` and leave what was found in `worst`."""
        for _ in self._walk(model, front, threat, worst, slope):
            pass

    def path(self, model: Model, front: Front, threat: Threat, slope: Slope = GRADIENT) -> Iterator[Images]:
        """Where the climb begins, and where each step leads: `steps` + 1 times all images, without early stop.

        The last is the one that the climb with keep="last" and no early stop ends at.
        """
        yield front.x_t.detach()
        for here in replace(self, early_stop=False, keep="last")._walk(model, front, threat, Worst(front.x), slope):
            yield here.x_t

    def _walk(self, model: Model, front: Front, threat: Threat, worst: Worst, slope: Slope) -> Iterator[Front]:
        for t in range(self.steps):
            front = self._step(model, front, threat, worst, slope, t)
            if not len(front):
                return
            yield front
        if self.keep == "worst":
            front = replace(front, draws=front.draws.fork("step", self.steps))
            with torch.no_grad():
                self._judge(model, front, threat, worst, model.exact(front.x_t, front.draws), candidate=True)
        else:
            worst.x_adv[front.at] = front.x_t

    @torch.enable_grad()
    def _step(self, model: Model, front: Front, threat: Threat, worst: Worst, slope: Slope, t: int) -> Front:
        """Judge x_t, and take the images that are not beaten a step further."""
        exact = t >= exact_from(model, self.steps)
        candidate = exact and t > 0 and self.keep == "worst"
        ask = model.exact if exact else model
        leaf = front.x_t.detach().requires_grad_(not slope.elsewhere)
        here = replace(front, x_t=leaf.detach(), draws=front.draws.fork("step", t))
        outputs, going = leaf.new_empty(0), None
        if self.early_stop or candidate or not slope.elsewhere:
            outputs = ask(leaf, here.draws)
            beaten = self._judge(model, here, threat, worst, outputs.detach(), candidate=candidate)
            if self.early_stop and bool(beaten.any()):
                going = ~beaten
                here, outputs, front = here.only(going), outputs[going], front.only(going)
        if not len(here):
            return here
        ball = threat.take(here.at)
        step = self.step_size * ball.eps
        grad = slope(View(t, ask, model.task, ball, step, here, outputs, leaf, going))
        return replace(front, x_t=ball.project(here.x_t + step * ball.steepest(grad), here.x))

    def _judge(self, model: Model, front: Front, threat: Threat, worst: Worst, outputs: Outputs, *, candidate: bool) -> Flags:
        """Which images x_t beats. What was seen roughly, or is a start, is kept only if it beats one."""
        with torch.no_grad():
            errors = model.task.errors(outputs, front.y)
            if candidate:
                worst.keep(front.at, front.x_t, errors, model.task.loss(outputs, front.y))
            if self.early_stop:
                return confirmed(model, front, threat, worst, errors == 1)
            return torch.zeros_like(errors, dtype=torch.bool)


def exact_from(model: Model, steps: int) -> int:
    """The step from which on a search goes in float32: a rough one in its last eighth, and one step at least; others throughout."""
    return steps - max(1, int(steps * EXACT)) if model.rough else 0


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
