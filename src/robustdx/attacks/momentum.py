"""Iterative attacks whose direction carries over from step to step and from view to view: made to transfer to other networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import torch

from robustdx.attacks.loops.climb import Climb, Front, Keep, View, Worst
from robustdx.attacks.loops.diversity import shrunk
from robustdx.attacks.loops.smoothing import require_kernel, smoothed
from robustdx.attacks.pgd import require_positive
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, Labels, PerImage, per_image
from robustdx.threats import Threat

TINY = torch.finfo(torch.float32).tiny


@final
@dataclass(frozen=True, kw_only=True)
class Momentum:
    """BIM along a decaying sum of gradients (MI-FGSM, Dong et al. 2018, algorithm 1), with what was built on it since.

        m_{t+1} = decay * m_t + g_t / mean|g_t|;   x_{t+1} = project(x_t + step_size * eps * steepest(m_{t+1}))

    where g_t is the gradient at x_t, or
    - nesterov: where m_t leads, x_t + decay * step * m_t (NI; Lin et al. 2020, section 3.2);
    - scales: the mean over x / 2^i for i < scales (SI; section 3.3 there);
    - diverse: with this probability, through a shrunk image at a random place (DI; Xie et al. 2019);
    - smooth: convolved with a Gaussian (TI; Dong et al. 2019, section 3.2);
    - neighbours: plus the mean gradient around x_{t-1} less the one at x_{t-1} (VMI, VNI; Wang & He 2021, section 3.2).

    Presets: mi, ni, di, ti, si, vmi, vni, and di-ti-mi, si-ni, si-ni-di-ti, vmi-di-ti-si; all keep the momentum, `decay = 0`
    takes it away. Without any of it the attack is BIM. Deviations: points outside [0, 1] are clamped to it, since no image
    lies there; under L2, g_t is scaled to length 1 instead, and neighbours are drawn from the threat, beta times as wide;
    pixels that a mask closes carry nothing.

    Cost per image: steps * scales * (1 + neighbours) forward and backward passes and one forward pass to judge the last image;
    with nesterov or diverse, one more in each step, to judge x_t (without early_stop, in each but the first). With early stop
    fewer, and one forward pass for each confirmation; with early_stop = false and keep = "last" nothing is judged.
    """

    steps: int = 10
    """Gradient steps."""
    step_size: float | None = None
    """Length of a step as a fraction of eps; left out, 1 / steps."""
    decay: float = 1.0
    """Share of the momentum that is left after a step; 0: no momentum."""
    nesterov: bool = False
    """Look where the momentum leads before taking the gradient."""
    diverse: float = 0.0
    """Probability of seeing an image shrunk and at a random place; the paper takes 0.5."""
    smallest: float = 0.9
    """Smallest side of a shrunk image, as a fraction of its own."""
    smooth: int = 0
    """Width of the Gaussian over gradients, odd, in pixels (its sigma is a sixth of width - 1); 0: none. The paper takes 15 at 299."""
    scales: int = 1
    """Copies at 1, 1/2, 1/4, ... of the brightness whose gradients are averaged; the paper takes 5."""
    neighbours: int = 0
    """Images around x_t whose gradients tune the next step; the paper takes 20."""
    beta: float = 1.5
    """How far around, as a multiple of eps."""
    early_stop: bool = True
    """Leave an image as soon as every decision on it is wrong: right for accuracy, wrong for AUROC and for transfer."""
    keep: Keep = "worst"
    """"worst": the worst image on the way, for the network at hand; "last": the last image, unjudged (transfer)."""

    def __post_init__(self) -> None:
        require_positive(self.steps, 1, self.step_size)
        if self.smooth:
            require_kernel("smooth", self.smooth)
        if not self.decay >= 0 or not self.beta > 0:
            raise PlanError(f"decay must be at least 0 and beta above 0, got decay {self.decay:g} and beta {self.beta:g}")
        if not 0 <= self.diverse <= 1 or not 0 < self.smallest < 1:
            raise PlanError(
                f"diverse is a probability from 0 to 1 and smallest a fraction between 0 and 1, got {self.diverse:g} and {self.smallest:g}"
            )
        if self.scales < 1 or self.neighbours < 0:
            raise PlanError(f"scales must be at least 1 and neighbours at least 0, got {self.scales} and {self.neighbours}")

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        worst = Worst(x)
        self._climb(model, self._start(x, y, draws), threat, worst, Carried(self, x))
        return worst.x_adv

    def path(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Iterator[Images]:
        """The images step by step, from x itself: steps + 1 times (B, C, H, W), none of them leaving early."""
        return self._climb.path(model, self._start(x, y, draws), threat, Carried(self, x))

    @property
    def _climb(self) -> Climb:
        return Climb(self.steps, 1 / self.steps if self.step_size is None else self.step_size, self.early_stop, self.keep)

    def _start(self, x: Images, y: Labels, draws: Draws) -> Front:
        return Front.whole(x, y, x, draws.fork("restart", 0))  # the draws of BIM


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "mi": {"name": "momentum"},
    "ni": {"name": "momentum", "nesterov": True},
    "di": {"name": "momentum", "diverse": 0.5},
    "ti": {"name": "momentum", "smooth": 15},
    "si": {"name": "momentum", "scales": 5},
    "vmi": {"name": "momentum", "neighbours": 20},
    "vni": {"name": "momentum", "neighbours": 20, "nesterov": True},
    "di-ti-mi": {"name": "momentum", "diverse": 0.5, "smooth": 15},
    "si-ni": {"name": "momentum", "nesterov": True, "scales": 5},
    "si-ni-di-ti": {"name": "momentum", "nesterov": True, "scales": 5, "diverse": 0.5, "smooth": 15},
    "vmi-di-ti-si": {"name": "momentum", "neighbours": 20, "scales": 5, "diverse": 0.5, "smooth": 15},
}
"""The names of the literature, with the settings of their papers."""


class Carried:
    """The slope of one climb of `Momentum`: what it carries from step to step, for each image of the batch."""

    def __init__(self, settings: Momentum, x: Images) -> None:
        self.settings = settings
        self.ahead = settings.nesterov and settings.decay > 0
        self.momentum, self.variance = torch.zeros_like(x), torch.zeros_like(x)

    @property
    def elsewhere(self) -> bool:
        return self.ahead or self.settings.diverse > 0

    def __call__(self, view: View) -> Images:
        own = grad = self._gradient(view, self._point(view))
        at = view.front.at
        if self.settings.neighbours:
            grad = own + self.variance[at]
            self.variance[at] = self._around(view) - own
        if self.settings.smooth:
            grad = smoothed(grad, self.settings.smooth, (self.settings.smooth - 1) / 6)
        if self.settings.decay == 0:
            return grad
        self.momentum[at] = self.settings.decay * self.momentum[at] + in_steps(grad, view.threat)
        return self.momentum[at]

    def _point(self, view: View) -> Images:
        """Where the gradient is taken."""
        if not self.ahead:
            return view.front.x_t
        lead = self.settings.decay * view.step * self.momentum[view.front.at]
        return (view.front.x_t + lead).clamp(0, 1)

    def _gradient(self, view: View, z: Images, *names: object) -> Images:
        """The gradient at z: the mean over its copies, each shown as the settings say."""
        total = torch.zeros_like(z)
        for i in range(self.settings.scales):
            if i == 0 and z is view.front.x_t and not self.elsewhere:
                total = view.uphill(view.task.loss(view.outputs, view.front.y))
            else:
                total = total + view.uphill_from(z, self._shown(view.front.draws.fork("copy", *names, i), i))
        return total / self.settings.scales

    def _shown(self, draws: Draws, i: int) -> Callable[[Images], Images]:
        darker = partial(torch.mul, other=0.5**i)
        if not self.settings.diverse:
            return darker
        return lambda z: shrunk(darker(z), draws, self.settings.diverse, self.settings.smallest)

    def _around(self, view: View) -> Images:
        """The mean gradient at random images around x_t."""
        total, x_t = torch.zeros_like(view.front.x_t), view.front.x_t
        for i in range(self.settings.neighbours):
            far = view.threat.sample(x_t, view.front.draws.fork("neighbour", i)) - x_t
            total = total + self._gradient(view, (x_t + self.settings.beta * far).clamp(0, 1), "neighbour", i)
        return total / self.settings.neighbours


def in_steps(grad: Images, threat: Threat) -> Images:
    """A gradient scaled to a step of length 1 in the mean absolute value of its pixels: 1 under Linf, where a step is all signs.

    A pixel without a slope counts like any other; one that the threat never moves (outside a mask) does not, and is left out.
    """
    step = threat.steepest(torch.where(grad == 0, TINY, grad))
    grad = torch.where(step == 0, 0, grad)
    return grad * per_image(_mean(step) / _mean(grad).clamp_min(TINY), grad)


def _mean(values: Images) -> PerImage:
    return values.abs().mean((1, 2, 3))
