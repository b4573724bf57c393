"""An image that is out of focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.draws import Draws
from robustdx.perturbations.kernels import convolve, disk
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.scale import scale_of
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class DefocusBlur:
    """Out of focus (Hendrycks and Dietterich 2019): every point becomes a disk; the border is mirrored."""

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = False

    radius: Table = (3, 4, 6, 8, 10)
    """Radius of the disk at each severity, in pixels of an image whose shorter side has 224."""
    softness: Table = (0.1, 0.5, 0.5, 0.5, 0.5)
    """Standard deviation, in the same pixels, of the Gaussian that softens the edge of the disk."""

    def __post_init__(self) -> None:
        require_tables(least=0.1, radius=self.radius, softness=self.softness)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        kernel = disk(at(severity, self.radius), at(severity, self.softness), scale_of(x))
        return convolve(x, [kernel], "reflect", "defocus_blur").clamp_(0, 1)
