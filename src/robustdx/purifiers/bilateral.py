"""The bilateral filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from kornia.filters import bilateral_blur

from robustdx.draws import Draws
from robustdx.purifiers.refusals import require_above_zero, require_window
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Bilateral:
    """Each pixel the mean of those in its window that are near and alike, so that edges stay (Tomasi & Manduchi 1998; kornia).

    Likeness is the sum of absolute differences over the channels. Beyond the border, the last row and column go on. Memory:
    size^2 times the batch.
    """

    differentiable: ClassVar[bool] = True
    random: ClassVar[bool] = False

    size: int = 5
    """Side of the window, an odd number of pixels."""
    sigma_space: float = 1.5
    """How far near is, in pixels."""
    sigma_colour: float = 0.1
    """How different alike may be, in pixel units of [0, 1]."""

    def __post_init__(self) -> None:
        require_window(size=self.size)
        require_above_zero(sigma_space=self.sigma_space, sigma_colour=self.sigma_colour)

    def __call__(self, x: Images, draws: Draws) -> Images:
        window, space = (self.size, self.size), (self.sigma_space, self.sigma_space)
        return bilateral_blur(x, window, self.sigma_colour, space, border_type="replicate").clamp(0, 1)
