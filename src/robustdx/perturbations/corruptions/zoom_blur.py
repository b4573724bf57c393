"""An image taken while the camera came nearer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.draws import Draws
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.scale import zoomed
from robustdx.perturbations.severity import Table, at, require_sides, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class ZoomBlur:
    """A camera that came nearer during the exposure (Hendrycks and Dietterich 2019): the mean of the image at growing zooms.

    The zooms 1, 1 + step, 1 + 2 step, ... below the largest, and the image once more. The middle stays sharp. Their steps (0.01, 0.01,
    0.02, 0.02, 0.03) give the unmoved image more weight at severity 3 than at 2, and are `zoom_blur_standard`.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = False

    largest: Table = (1.11, 1.16, 1.21, 1.26, 1.31)
    """The zoom that is not quite reached, at each severity."""
    step: Table = (0.01, 0.01, 0.0125, 0.015, 0.0175)
    """From one zoom to the next."""

    def __post_init__(self) -> None:
        require_tables(least=1.001, most=8, largest=self.largest)
        require_tables(least=0.001, step=self.step)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_sides(x, 4, "zoom_blur")
        step = at(severity, self.step)
        steps = int((at(severity, self.largest) - 1) / step - 1e-6)  # the largest is left out, however it is rounded
        total = 2 * x
        for i in range(1, steps + 1):
            total += zoomed(x, 1 + i * step)
        return (total / (steps + 2)).clamp_(0, 1)
