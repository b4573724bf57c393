"""The stabilised medical image attack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import torch

from robustdx.attacks.loops.climb import Climb, Front, Keep, View, Worst
from robustdx.attacks.loops.smoothing import require_kernel, smoothed
from robustdx.attacks.pgd import require_positive
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tasks import plain
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat


@final
@dataclass(frozen=True, kw_only=True)
class SMIA:
    """BIM held back by its own smoothed image (Qi et al. 2021, section 3): away from the label, near to what the smoothed one is called.

        J(x_t) = a1 * loss(f(x_t), y) - a2 * D(f(x_t), f(u_t));   x_{t+1} = project(x_t + step_size * eps * steepest(grad J))

    where u_t is x + W * (x_t - x), the paper's, or x_{t-1} + step * (W * sign(g_{t-1})), the code's; W is a centred Gaussian, D
    the divergence KL(f(u_t) || f(x_t)) or, hard, the loss with the decision at u_t as the label. No gradient goes through f(u_t),
    and the first step knows no second term. With a2 = 0 this is BIM.

    The preset smia-released is what the released code does once it runs. It keeps of that code: a2 = 0, so that nothing is
    stabilised unless a2 is set; the hard label; the probe from the last gradient, not from the whole change; no judging on the
    way. It does not keep: undefined names and a clamp without limits, for which the code stops; steps that leave the budget;
    a kernel that is skewed and mixes the colour channels, for which W stands here, 3 pixels wide, sigma 1.

    Cost per image: steps forward and backward passes, steps - 1 forward passes for u_t (none with a2 = 0), and one forward pass
    to judge the last image; with early stop fewer, and one forward pass for each confirmation.
    """

    steps: int = 10
    """Gradient steps."""
    step_size: float | None = None
    """Length of a step as a fraction of eps; left out, 1 / steps."""
    a1: float = 1.0
    """Weight of the loss against the label."""
    a2: float = 1.0
    """Weight of staying near to the prediction on the smoothed image; 0: BIM."""
    kernel: int = 3
    """Width of the Gaussian W in pixels: odd, 3 to 21."""
    sigma: float = 1.0
    """Standard deviation of W, in pixels."""
    stabilise: Literal["soft", "hard"] = "soft"
    """"soft": Kullback-Leibler divergence of the predictions, as the paper analyses; "hard": the decision as a label, as released."""
    probe: Literal["perturbation", "gradient"] = "perturbation"
    """"perturbation": smooth the change so far, as in the paper; "gradient": smooth the last step, as in the code."""
    random_start: bool = False
    """Begin at a random point of the ball; if not, at the image itself."""
    early_stop: bool = True
    """Leave an image as soon as every decision on it is wrong: right for accuracy, wrong for AUROC and other rankings."""
    keep: Keep = "worst"
    """"worst": the worst image on the way, judged by one more forward pass; "last": the last image, unjudged."""

    def __post_init__(self) -> None:
        require_positive(self.steps, 1, self.step_size)
        require_kernel("kernel", self.kernel)
        if not self.sigma > 0:
            raise PlanError(f"sigma must be above 0 pixels, got {self.sigma:g}")
        if not self.a1 > 0 or not self.a2 >= 0:
            raise PlanError(f"a1 must be above 0 and a2 at least 0, got a1 {self.a1:g} and a2 {self.a2:g}: a2 = 0 is BIM")

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        worst = Worst(x)
        self._climb(model, self._start(x, y, threat, draws), threat, worst, Stabilised(self, x))
        return worst.x_adv

    def path(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Iterator[Images]:
        """The images step by step, with the start: steps + 1 times (B, C, H, W), none of them leaving early."""
        return self._climb.path(model, self._start(x, y, threat, draws), threat, Stabilised(self, x))

    @property
    def _climb(self) -> Climb:
        return Climb(self.steps, 1 / self.steps if self.step_size is None else self.step_size, self.early_stop, self.keep)

    def _start(self, x: Images, y: Labels, threat: Threat, draws: Draws) -> Front:
        stream = draws.fork("restart", 0)  # the draws of BIM
        return Front.whole(x, y, threat.sample(x, stream) if self.random_start else x, stream)


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "smia-released": {"name": "smia", "a2": 0.0, "stabilise": "hard", "probe": "gradient", "early_stop": False, "keep": "last"},
}
"""The released code's settings."""


class Stabilised:
    """The slope of one climb of `SMIA`; it remembers where the last step would have led, smoothed."""

    elsewhere = False

    def __init__(self, settings: SMIA, x: Images) -> None:
        self.settings = settings
        self.led = torch.zeros_like(x)

    def __call__(self, view: View) -> Images:
        objective = self.settings.a1 * view.task.loss(view.outputs, view.front.y)
        if self.settings.a2 and view.t:
            objective = objective - self.settings.a2 * self._strayed(view)
        grad = view.uphill(objective)
        if self.settings.a2 and self.settings.probe == "gradient":
            self.led[view.front.at] = view.front.x_t + view.step * self._smooth(view.threat.steepest(grad))
        return grad

    def _strayed(self, view: View) -> PerImage:
        """D: how far the prediction at x_t is from the one on the smoothed image."""
        with torch.no_grad():
            smooth = view.ask(self._probed(view.front).clamp(0, 1), view.front.draws)
        if self.settings.stabilise == "soft":
            return view.task.divergence(view.outputs, smooth)
        task = plain(view.task)
        return task.loss(view.outputs, task.decide(smooth))

    def _probed(self, front: Front) -> Images:
        """u_t."""
        if self.settings.probe == "gradient":
            return self.led[front.at]
        return front.x + self._smooth(front.x_t - front.x)

    def _smooth(self, change: Images) -> Images:
        return smoothed(change, self.settings.kernel, self.settings.sigma)
