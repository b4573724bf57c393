"""The Gaussian filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from kornia.filters import gaussian_blur2d

from robustdx.draws import Draws
from robustdx.purifiers.refusals import require_above_zero, require_window
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Each pixel the weighted mean of its window, the near ones more (kornia's `gaussian_blur2d`).

    Beyond the border, the last row and column go on. Linear: its gradient is exact and the same everywhere.
    """

    differentiable: ClassVar[bool] = True
    random: ClassVar[bool] = False

    sigma: float = 1.0
    """Width of the bell, in pixels."""
    size: int = 5
    """Side of the window, an odd number of pixels."""

    def __post_init__(self) -> None:
        require_above_zero(sigma=self.sigma)
        require_window(size=self.size)

    def __call__(self, x: Images, draws: Draws) -> Images:
        pure = gaussian_blur2d(x, (self.size, self.size), (self.sigma, self.sigma), border_type="replicate")
        return pure.clamp(0, 1)  # a mean, but for the last bit
