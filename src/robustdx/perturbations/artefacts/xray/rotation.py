"""A patient who lies askew."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import plane, require_picture, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Rotation:
    """A patient rotated before the detector: a little askew in the picture, and turned to one side about the spine.

    Askew: the picture turns about its middle. Turned: one half of the chest looks wider and darker (more lucent), the other narrower
    and paler. Both directions are drawn once and the angle grows. What the detector did not see is continued from the picture's edge.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("x-ray",)
    random: ClassVar[bool] = True

    degrees: Table = (1, 2, 3.5, 6, 10)
    """In the picture; about the spine it is as much again."""

    def __post_init__(self) -> None:
        require_tables(least=0, most=45, degrees=self.degrees)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "rotation")
        u = uniforms(x, draws.fork("patient"), 3)
        angle = math.radians(at(severity, self.degrees))
        sign = (2 * (u[:, :2] < 0.5).float() - 1).view(-1, 2, 1, 1, 1)
        askew, turned = angle * sign[:, 0] * (0.6 + 0.4 * u[:, 2].view(-1, 1, 1, 1)), angle * sign[:, 1]
        across, down = plane(x)
        right, low = across * askew.cos() + down * askew.sin(), down * askew.cos() - across * askew.sin()
        half_width, half_height = float(across.max()), float(down.max())
        right = right + 0.8 * turned.sin() * (right**2 / half_width - 0.33 * half_width)
        grid = torch.stack([(right / half_width)[:, 0], (low / half_height)[:, 0]], -1)
        moved = F.grid_sample(x.float(), grid, mode="bilinear", padding_mode="border", align_corners=True)
        denser = 0.5 * turned.sin() * across / half_width
        return (moved + denser * moved * (1 - moved) * 2).clamp(0, 1).to(x.dtype)
