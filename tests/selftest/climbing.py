"""What the dedicated attacks share: a plain climb in a box, the 8-bit grid, and who counts as broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from robustdx.selftest.victims import EPS

Look = Callable[[Tensor, Tensor], Tensor]
"""(images, their positions) to logits with a gradient that tells the truth: what the attack climbs on."""
Judge = Callable[[Tensor, Tensor], Tensor]
"""(saved images, their positions) to logits of the defence as it stands, (submissions, B, K) or (B, K)."""

LEVELS = round(EPS * 255)
ROUNDS = 4
"""One that pushes the right class down, and one towards each rival."""
LOOKS = 2
"""Steps between two verdicts."""


@dataclass(frozen=True, eq=False)
class Box:
    """Where the search moves: between `low` and `high`, from `start`; `show` makes the image on the grid of some of its points."""

    start: Tensor
    low: Tensor
    high: Tensor
    show: Callable[[Tensor, Tensor], Tensor]


def around(x: Tensor) -> Box:
    """The images at most EPS from x."""
    return Box(x, (x - EPS).clamp(0, 1), (x + EPS).clamp(0, 1), lambda z, at: saved(z, x[at]))


def saved(z: Tensor, x: Tensor) -> Tensor:
    """The nearest image on the 8-bit grid, at most EPS from x."""
    home = (x * 255).round()
    return ((z * 255).round().clamp(home - LEVELS, home + LEVELS).clamp(0, 255)) / 255


def wrong(judge: Judge, shown: Tensor, y: Tensor, at: Tensor) -> Tensor:
    """(B,): the share of the submissions that are decided wrongly."""
    with torch.no_grad():
        logits = judge(shown, at)
    return (logits.argmax(-1) != y).float().reshape(-1, len(y)).mean(0)


def seek(look: Look, judge: Judge, x: Tensor, y: Tensor, box: Box | None = None, *, steps: int = 60) -> Tensor:
    """(N, C, H, W): for each image the one on the grid that the defence most often decides wrongly.

    The first round pushes down the right class, each further one pushes up one rival. An image leaves once more than half of
    its submissions are wrong.
    """
    torch.manual_seed(0)
    box = box or around(x)
    best, score = x.clone(), wrong(judge, x, y, torch.arange(len(x)))
    for turn in range(ROUNDS):
        at = (score <= 0.5).nonzero()[:, 0]
        z = box.start if turn == 0 else box.low + (box.high - box.low) * torch.rand_like(x)
        for t in range(steps):
            if not len(at):
                break
            low, high = box.low[at], box.high[at]
            up = slope(look, z[at], y[at], at, turn).sign()
            z = z.index_copy(0, at, torch.minimum(torch.maximum(z[at] + (high - low) * stride(t, steps) * up, low), high))
            if t % LOOKS == LOOKS - 1:
                shown = box.show(z[at], at)
                found = wrong(judge, shown, y[at], at)
                better = found > score[at]
                best[at[better]], score[at[better]] = shown[better], found[better]
                at = at[score[at] <= 0.5]
    return best


def stride(t: int, steps: int) -> float:
    """From a quarter of the box down to a hundredth."""
    return 0.25 * 0.04 ** (t / steps)


def slope(look: Look, z: Tensor, y: Tensor, at: Tensor, turn: int) -> Tensor:
    """The gradient of how far the largest rival, or the rival of this turn, stands above the right class."""
    z = z.detach().requires_grad_()
    with torch.enable_grad():
        (grad,) = torch.autograd.grad(_lead(look(z, at), y, turn).sum(), z)
    return grad


def _lead(logits: Tensor, y: Tensor, turn: int) -> Tensor:
    """(B,): above 0 where the rival wins."""
    own = logits.gather(1, y[:, None])[:, 0]
    if turn == 0:
        return logits.scatter(1, y[:, None], -torch.inf).amax(1) - own
    return logits.gather(1, ((y + turn) % logits.shape[1])[:, None])[:, 0] - own
