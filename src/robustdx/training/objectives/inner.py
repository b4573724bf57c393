"""How objectives look for their images: climbs of the attacks' room, from starts of their own."""

from __future__ import annotations

import torch

from robustdx.attacks import Model
from robustdx.attacks.loops.climb import GRADIENT, Climb, Front, Slope, Worst
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, Labels
from robustdx.threats import Threat

NUDGE = 0.001 / 0.031
"""Size of the noise that TRADES and MART start from, as a fraction of eps: their code's values on CIFAR-10."""

STEP = 0.007 / 0.031
"""Length of their steps, likewise."""


def climbed(
    model: Model,
    x: Images,
    y: Labels,
    threat: Threat,
    draws: Draws,
    *,
    start: Images,
    steps: int,
    step_size: float,
    slope: Slope = GRADIENT,
) -> Images:
    """Where so many steps uphill lead, none of them stopped early; x itself where there is no budget."""
    if threat.eps == 0:
        return x
    worst = Worst(x)
    Climb(steps, step_size, keep="last")(model, Front.whole(x, y, start, draws), threat, worst, slope)
    return worst.x_adv


def nudged(x: Images, threat: Threat, draws: Draws) -> Images:
    """x under a little Gaussian noise: a divergence from x has no slope at x itself."""
    noise = draws.normal(like=x) * threat.steepest(torch.ones_like(x))  # each channel by its share, all pixels by the norm
    return (x + NUDGE * threat.eps * noise).clamp(0, 1)


def require_climb(steps: int, step_size: float) -> None:
    """Refuse settings that would go nowhere."""
    if steps < 1:
        raise PlanError(f"steps must be at least 1, got {steps}")
    if not 0 < step_size < float("inf"):
        raise PlanError(f"step_size must be above 0 (it is a fraction of eps), got {step_size:g}")


def require_weight(name: str, weight: float) -> None:
    """Refuse a weight of a term that is below 0, or no number."""
    if not 0 <= weight < float("inf"):
        raise PlanError(f"{name} must be at least 0, got {weight:g}")
