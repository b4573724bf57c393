"""The L2 ball."""

from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.tensors import Images, PerImage, l2_norm, per_image
from robustdx.threats.protocol import GRID_SLACK, require_budget

TINY = 1e-12

PROJECTIONS = 10
"""Rounds of the projection at most; one is enough where no pixel meets 0 or 1."""


@final
@dataclass(frozen=True)
class L2:
    """Images whose difference from x has a Euclidean length of at most eps, all channels and pixels together."""

    eps: float
    """Largest Euclidean length of the change, with pixels in [0, 1]: 0.5 is a usual value for small colour images."""
    levels: int = 255
    """Steps of the grid on which images are saved: 255 for 8 bit, 65535 for 16 bit."""

    def __post_init__(self) -> None:
        require_budget(self.eps, 1e4, self.levels)

    @property
    def travel(self) -> float:
        """10: a random start lies at a right angle to every direction, and of that part exp(-travel) is left."""
        return 10.0

    @property
    def savable(self) -> bool:
        return self.eps * self.levels >= 1 - GRID_SLACK

    def take(self, index: Tensor) -> Self:
        return self

    def project(self, x_adv: Images, x: Images) -> Images:
        """The nearest image in the ball and in [0, 1] at once: clamp(x + t * (x_adv - x)) with the largest t that fits.

        The length grows slower than t, so t * eps / length never undershoots: it closes in on t from above.
        """
        change, inside = x_adv - x, x_adv.clamp(0, 1)
        t = x.new_ones(len(x))
        for _ in range(PROJECTIONS):
            length = l2_norm(inside - x)
            if bool((length <= self.eps * (1 + 1e-6)).all()):
                break
            t = t * (self.eps / length.clamp_min(TINY)).clamp_max(1)
            inside = (x + change * per_image(t, x)).clamp_(0, 1)
        return (x + (inside - x) * per_image((self.eps / l2_norm(inside - x).clamp_min(TINY)).clamp_max(1), x)).clamp_(0, 1)

    def steepest(self, grad: Images) -> Images:
        return grad / per_image(l2_norm(grad).clamp_min(TINY), grad)

    def sample(self, x: Images, draws: Draws) -> Images:
        """A random direction, its length uniform in [0, eps].

        Uniform in the ball would be at its surface almost surely, and a search of a few dozen steps carries much of that noise to its end.
        """
        direction = self.steepest(draws.fork("direction").normal(like=x))
        share = draws.fork("length").uniform(0, 1, like=x.flatten(1)[:, 0])
        return self.project(x + direction * per_image(self.eps * share, x), x)

    def distance(self, x_adv: Images, x: Images) -> PerImage:
        return l2_norm(x_adv - x)

    def snap(self, x_adv: Images, x: Images) -> Images:
        """Round the change towards x, then give back whole steps, largest remainder first, while the budget lasts.

        Rounding to the nearest would erase the change: spread over an image, most of it is below half a step.
        """
        home = (x * self.levels).round()
        change = ((x_adv * self.levels) - home).flatten(1)
        whole = change.trunc()
        remainder, order = (change - whole).abs().sort(dim=1, descending=True)
        ordered = whole.gather(1, order).abs()
        price = (2 * ordered + 1).cumsum(1, dtype=torch.float64)
        budget = (self.eps * self.levels + GRID_SLACK) ** 2 - whole.double().square().sum(1, keepdim=True)
        bought = (price <= budget) & (remainder > 0)
        step = torch.zeros_like(whole).scatter_(1, order, bought.to(whole.dtype)) * change.sign()
        return (home + (whole + step).view_as(x)).clamp_(0, self.levels).div_(self.levels)
