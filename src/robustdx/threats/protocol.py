"""What a threat is: the set of images an adversary may show in place of x."""

from __future__ import annotations

from typing import Protocol, Self

from torch import Tensor

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, PerImage

GRID_SLACK = 1e-3
"""In steps of the grid: how much of a step float32 may lose before a budget of a whole step counts as less."""


class Threat(Protocol):
    """A set of images around x, in pixel units; every member also lies in [0, 1].

    `eps` is the budget, `levels` the steps of the grid on which an image is saved (255 for 8 bit).
    """

    @property
    def eps(self) -> float: ...
    @property
    def levels(self) -> int: ...

    @property
    def travel(self) -> float:
        """How far, in eps, a climb has to go in all before it has forgotten the random point it began at."""
        ...

    @property
    def savable(self) -> bool:
        """Whether the budget reaches one step of the grid; if not, the only image that can be saved is the clean one."""
        ...

    def take(self, index: Tensor) -> Self:
        """The threat to some of the images, at these positions or with this flag: one that is the same to all is itself."""
        ...

    def project(self, x_adv: Images, x: Images) -> Images:
        """The nearest member to x_adv."""
        ...

    def steepest(self, grad: Images) -> Images:
        """The direction of length 1 in this norm that climbs fastest along grad."""
        ...

    def sample(self, x: Images, draws: Draws) -> Images:
        """A random member."""
        ...

    def distance(self, x_adv: Images, x: Images) -> PerImage:
        """How far x_adv lies from x, in the units of eps."""
        ...

    def snap(self, x_adv: Images, x: Images) -> Images:
        """x_adv as it could be saved: on the grid, inside the budget, provided that x is on the grid."""
        ...


def require_budget(eps: float, largest: float, levels: int) -> None:
    """Refuse an eps below 0 or above the largest that has a meaning.

    Raises:
        PlanError: says what came and what to write.
    """
    if not 0 <= eps <= largest:
        raise PlanError(f"eps must lie in [0, {largest:g}] (pixels are in [0, 1]), got {eps:g}: write it as a fraction like 8/255")
    if levels < 1:
        raise PlanError(f"levels must be at least 1, got {levels}: 255 for 8-bit images")
