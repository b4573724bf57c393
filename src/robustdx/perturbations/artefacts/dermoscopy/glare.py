"""Reflections of the lamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.canvas import Pen, curves, painted
from robustdx.perturbations.artefacts.fields import between, blur, plane, require_picture, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Glare:
    """Lamps mirrored by moist or scaly skin, where light is not polarised or gel is missing.

    Small white spots, bent like the row of lamps, in one or two patches, each with a halo; and a pale sheen over the patch. A severity
    keeps the spots of the one below and adds some; the sheen grows.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("dermoscopy",)
    random: ClassVar[bool] = True

    spots: Table = (8, 18, 34, 60, 100)
    """How many spots, at severities 1 to 5."""
    sheen: Table = (0.05, 0.1, 0.16, 0.24, 0.34)
    """How far the middle of the patch is from its own colour towards white."""

    def __post_init__(self) -> None:
        require_tables(least=1, spots=self.spots)
        require_tables(least=0, most=1, sheen=self.sheen)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "glare")
        count = round(at(severity, self.spots))
        patch = uniforms(x, draws.fork("patch"), 6)
        u = uniforms(x, draws.fork("places"), count, 2).cpu().numpy()
        shape = uniforms(x, draws.fork("shapes"), count, 4).cpu().numpy()
        places = patch.cpu().numpy()
        spots = painted(x, lambda pen, i: _spots(pen, places[i], u[i], shape[i]))
        light = 0.95 * blur(spots, 0.0015) + 0.55 * blur(spots, 0.012)
        across, down = plane(x)
        right, low = across - between(-0.5, 0.5, patch[:, 0]) * across.max(), down - between(-0.5, 0.5, patch[:, 1]) * down.max()
        veil = at(severity, self.sheen) * torch.exp(-(right**2 + low**2) / (2 * between(0.18, 0.32, patch[:, 2]) ** 2))
        return (x + (1 - (1 - light.clamp(0, 1)) * (1 - veil)) * (1 - x)).clamp(0, 1).to(x.dtype)


def _spots(pen: Pen, patch: np.ndarray, u: np.ndarray, shape: np.ndarray) -> None:
    """Short bent strands around the patch's middle: u holds direction and distance, shape turn, size, bend and brightness."""
    middle = (0.25 + 0.5 * patch[:2]) * (pen.width, pen.height)
    angles, (turn, size, bend, ink) = 2 * np.pi * u[:, 0], shape.T
    places = middle + 0.48 * u[:, 1:] ** 0.8 * np.stack([np.cos(angles), np.sin(angles)], 1)
    headings = np.pi * patch[3] + 1.2 * (turn - 0.5)
    points = curves(places, headings, 0.004 + 0.024 * size**4, 2.5 * (bend - 0.5), np.zeros_like(bend), count=9)
    pen.strands(points, (0.003 + 0.007 * size[:, None] ** 3) * np.sin(np.linspace(0.5, 2.64, 9)), 0.55 + 0.45 * ink)
