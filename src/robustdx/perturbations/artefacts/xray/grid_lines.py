"""The anti-scatter grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import between, plane, require_picture, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class GridLines:
    """The lamellae of the grid between patient and detector.

    Fine parallel lines, the slow bands that they form with the detector's own lines (moire), and, because the grid is never quite
    centred, one side that is darker. Lines finer than two pixels fade as they do where an image is averaged down; the bands stay.
    Direction (nearly upright, or nearly level), spacing and side are drawn once, and amplitudes grow.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("x-ray",)
    random: ClassVar[bool] = True

    lines: Table = (0.014, 0.025, 0.04, 0.06, 0.09)
    """Amplitude of the fine lines, and three times that of the bands."""
    cutoff: Table = (0.02, 0.04, 0.07, 0.1, 0.14)
    """How much darker one side is, and paler the other."""

    def __post_init__(self) -> None:
        require_tables(least=0, most=1, lines=self.lines, cutoff=self.cutoff)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "grid_lines")
        u = uniforms(x, draws.fork("grid"), 7)
        across, down = plane(x)
        angle = between(-0.03, 0.03, u[:, 0]) + between(0, math.pi / 2, (u[:, 1] < 0.25).float())
        place = across * angle.cos() + down * angle.sin()
        fine = _wave(x, place, between(0.016, 0.03, u[:, 2]), u[:, 3])
        slow = _wave(x, place + 0.15 * (down * angle.cos() - across * angle.sin()), between(0.07, 0.2, u[:, 4]), u[:, 5])
        amplitude = at(severity, self.lines)
        side = at(severity, self.cutoff) * 2 * place * (2 * (u[:, 6] < 0.5).float() - 1).view(-1, 1, 1, 1)
        # behind a logarithm the grid adds; where no ray came (black or white) nothing is added
        inside = 1 - (2 * x - 1) ** 4
        return (x + inside * (amplitude * fine * (1 + 0.6 * slow) + 0.35 * amplitude * slow - side)).clamp(0, 1).to(x.dtype)


def _wave(x: Images, place: Tensor, period: Tensor, phase: Tensor) -> Tensor:
    """A cosine along `place`, averaged over a pixel, so that it fades where it is finer than the pixels."""
    pixel = 1 / min(x.shape[2:])
    return torch.sinc(2 * pixel / period).clamp(min=0) * torch.cos(2 * math.pi * (place / period + phase.view(-1, 1, 1, 1)))
