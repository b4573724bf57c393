"""An image that is softer than it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.draws import Draws
from robustdx.perturbations.kernels import blurred
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class GaussianBlur:
    """Evenly soft, as after a poor enlargement (Hendrycks and Dietterich 2019): a Gaussian, the border repeated."""

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = False

    sigma: Table = (1, 2, 3, 4, 6)
    """Standard deviation at each severity, in pixels of an image whose shorter side has 224."""

    def __post_init__(self) -> None:
        require_tables(least=0.1, sigma=self.sigma)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        return blurred(x, at(severity, self.sigma), "gaussian_blur").clamp_(0, 1)
