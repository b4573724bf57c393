"""An image taken while something moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.draws import Draws
from robustdx.perturbations.kernels import convolve, streak
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.scale import scale_of
from robustdx.perturbations.severity import Counts, Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class MotionBlur:
    """A hand, or a patient, that moved along a straight line (Hendrycks and Dietterich 2019): half a Gaussian along that line.

    The border is repeated. An image has one direction at all severities.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = True

    radius: Counts = (10, 15, 15, 15, 20)
    """Half the length of the line at each severity, in pixels of an image whose shorter side has 224."""
    sigma: Table = (3, 5, 8, 12, 15)
    """Standard deviation along the line, in the same pixels."""
    angle: float = 45.0
    """The direction is drawn between minus and plus so many degrees of the horizontal."""

    def __post_init__(self) -> None:
        require_tables(least=1, radius=self.radius)
        require_tables(least=0.1, sigma=self.sigma)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        radius, sigma, scale = at(severity, self.radius), at(severity, self.sigma), scale_of(x)
        angles = draws.uniform(-self.angle, self.angle, like=x[:, 0, 0, 0]).tolist()
        return convolve(x, [streak(radius, sigma, angle, scale) for angle in angles], "replicate", "motion_blur").clamp_(0, 1)
