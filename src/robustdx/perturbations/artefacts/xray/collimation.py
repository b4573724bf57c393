"""The collimator's blades in the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import between, plane, require_picture, step, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Collimation:
    """Dark borders with straight edges, where the collimator kept the rays away.

    The four blades turn together by a few degrees and close by different amounts; their edges are a little soft, and some scattered
    rays still reach the border. Angle and proportions are drawn once; with severity the blades close.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("x-ray",)
    random: ClassVar[bool] = True

    border: Table = (0.04, 0.075, 0.115, 0.16, 0.21)
    """How far the farthest blade reaches into the picture, as a share of its width or height."""
    scatter: float = 0.06
    """What is left of the image behind a blade."""

    def __post_init__(self) -> None:
        require_tables(least=0, most=0.45, border=self.border)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "collimation")
        u = uniforms(x, draws.fork("blades"), 6)
        across, down = plane(x)
        angle = between(-0.05, 0.05, u[:, 0])
        right, low = across * angle.cos() + down * angle.sin(), down * angle.cos() - across * angle.sin()
        half_width, half_height = float(across.max()), float(down.max())
        soft = between(0.008, 0.02, u[:, 1])
        lit = torch.ones_like(x[:, :1])
        for k, (place, half) in enumerate([(right, half_width), (-right, half_width), (low, half_height), (-low, half_height)]):
            edge = half * (1 - 2 * at(severity, self.border) * between(0.35, 1, u[:, 2 + k]))
            lit = lit * step((edge - place) / soft)
        return (x * (self.scatter + (1 - self.scatter) * lit)).to(x.dtype)
