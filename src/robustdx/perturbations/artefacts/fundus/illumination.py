"""Uneven light on the retina."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import between, plane, require_picture, smooth, step, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Illumination:
    """A flash that does not reach all of the retina: small pupil, camera off the axis, eyelid.

    One side lies in a soft shadow shaped like a crescent, and light is patchy elsewhere. Side and patches are drawn once; with severity
    the shadow becomes deeper and the lit part a little brighter. Black around the field of view stays black.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("fundus",)
    random: ClassVar[bool] = True

    depth: Table = (0.18, 0.34, 0.5, 0.66, 0.82)
    """How much light is missing in the middle of the shadow."""

    def __post_init__(self) -> None:
        require_tables(least=0, most=1, depth=self.depth)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "illumination")
        depth = at(severity, self.depth)
        u = uniforms(x, draws.fork("pupil"), 4)
        across, down = plane(x)
        angle, shift = between(0, 2 * math.pi, u[:, 0]), between(0.18, 0.42, u[:, 1])
        far = torch.hypot(across - shift * angle.cos(), down - shift * angle.sin())
        crescent = step((far - between(0.15, 0.3, u[:, 2])) / 0.62)
        patches = smooth(x, draws.fork("patches"), 3).clamp(-2, 2)
        light = (1 + 0.25 * depth * (1 - crescent)) * (1 - depth * crescent) * torch.exp(0.16 * depth * patches)
        return (x * light).clamp(0, 1).to(x.dtype)
