"""Projected gradient descent on the negative loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from robustdx.attacks.loops.climb import Climb, Front, Keep, Worst
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, Labels
from robustdx.threats import Threat


@final
@dataclass(frozen=True, kw_only=True)
class PGD:
    """Projected gradient ascent from random starts, keeping the worst (Madry et al. 2018, section 2.1).

        x_0 ~ U(ball);   x_{t+1} = project(x_t + step_size * eps * steepest(grad loss(x_t)))

    Cost per image: restarts * steps forward and backward passes, and one forward pass for each restart to judge the last
    image; with early stop fewer, and one forward pass for each confirmation.
    """

    steps: int = 40
    """Gradient steps of each start."""
    step_size: float | None = None
    """Length of a step as a fraction of eps; left out, 2.5 / steps under Linf and 10 / steps under L2, at most 1."""
    restarts: int = 1
    """Climbs from independent starts; the worst image of all is kept."""
    random_start: bool = True
    """Begin at a random point of the ball; if not, at the image itself."""
    early_stop: bool = True
    """Leave an image as soon as every decision on it is wrong: right for accuracy, wrong for AUROC and other rankings."""
    keep: Keep = "worst"
    """"worst": the worst image on the way, judged by one more forward pass; "last": the last image, unjudged (training)."""

    def __post_init__(self) -> None:
        require_positive(self.steps, self.restarts, self.step_size)

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        worst, climb = Worst(x), self._climb(threat)
        for i in range(self.restarts):
            front = self._start(x, y, threat, draws, i).only(~worst.beaten)
            if len(front):
                climb(model, front, threat, worst)
        return worst.x_adv

    def path(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Iterator[Images]:
        """The images step by step, from the first start: steps + 1 times (B, C, H, W), none of them leaving early."""
        return self._climb(threat).path(model, self._start(x, y, threat, draws, 0), threat)

    def _climb(self, threat: Threat) -> Climb:
        step_size = min(1.0, threat.travel / self.steps) if self.step_size is None else self.step_size
        return Climb(self.steps, step_size, self.early_stop, self.keep)

    def _start(self, x: Images, y: Labels, threat: Threat, draws: Draws, i: int) -> Front:
        stream = draws.fork("restart", i)
        return Front.whole(x, y, threat.sample(x, stream) if self.random_start else x, stream)


def require_positive(steps: int, restarts: int, step_size: float | None) -> None:
    """Refuse settings that would do nothing."""
    if steps < 1 or restarts < 1:
        raise PlanError(f"steps and restarts must be at least 1, got steps {steps} and restarts {restarts}")
    if step_size is not None and not step_size > 0:
        raise PlanError(f"step_size must be above 0 (it is a fraction of eps), got {step_size:g}")
