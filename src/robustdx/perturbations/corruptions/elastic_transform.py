"""An image that is stretched here and pressed together there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor

from robustdx.draws import Draws
from robustdx.perturbations.kernels import blurred
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.scale import canvas, fitted, grid
from robustdx.perturbations.severity import Table, at, require_sides, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class ElasticTransform:
    """Stretched here and pressed together there, like soft tissue (Hendrycks and Dietterich 2019; Simard et al. 2003).

    Every pixel moves by a smooth random field, uniform noise blurred with `smoothness` and multiplied by `strength`, and the whole by an
    affine map that moves three points by up to `affine`; the border is mirrored. Lengths are fractions of the shorter side. An image has
    the same noise at all severities. Their severities 1 and 2 stretch more than 3 to 5 (`elastic_transform_standard`).
    """

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = True

    strength: Table = (0.03, 0.05, 0.07, 0.1, 0.14)
    """What the blurred noise is multiplied with at each severity."""
    smoothness: Table = (0.01, 0.01, 0.01, 0.01, 0.01)
    """Standard deviation of the Gaussian that blurs it; above a fifth, where the whole image moves as one, a fifth is taken."""
    affine: Table = (0.01, 0.015, 0.02, 0.025, 0.03)
    """How far the three points of the affine map are moved at most, across and down."""

    def __post_init__(self) -> None:
        require_tables(least=0, strength=self.strength, affine=self.affine)
        require_tables(least=0.002, smoothness=self.smoothness)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_sides(x, 4, "elastic_transform")
        side = min(x.shape[2:])
        places = self._affine(x, at(severity, self.affine) * side, draws) + self._field(x, severity, draws) * side
        size = places.new_tensor([x.shape[3] - 1, x.shape[2] - 1])
        return F.grid_sample(x, places / size * 2 - 1, padding_mode="reflection", align_corners=True).clamp_(0, 1)

    def _field(self, x: Images, severity: int, draws: Draws) -> Tensor:
        """How far each pixel looks, column first, (B, H, W, 2), as a fraction of the shorter side."""
        noise = draws.uniform(-1, 1, like=canvas(x, channels=2))
        side = min(noise.shape[2:])
        sigma = min(at(severity, self.smoothness) * side, side / 5)
        smooth = blurred(noise, sigma, "elastic_transform") * at(severity, self.strength)
        return fitted(smooth, x).permute(0, 2, 3, 1)

    def _affine(self, x: Images, most: float, draws: Draws) -> Tensor:
        """Where each pixel of the result lies in the image, column first, (B, H, W, 2): three points around the middle are moved."""
        middle = x.new_tensor([x.shape[3] // 2, x.shape[2] // 2])
        third = min(x.shape[2:]) // 3
        points = middle + third * x.new_tensor([[1, 1], [1, -1], [-1, -1]])
        moved = points + most * draws.fork("affine").uniform(-1, 1, like=x.new_empty(len(x), 3, 2))
        ones = x.new_ones(len(x), 3, 1)
        back = torch.linalg.solve(torch.cat((moved, ones), 2), points.expand(len(x), -1, -1))
        return grid(x) @ back[:, None, :2] + back[:, None, 2:]
