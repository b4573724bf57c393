"""Dust on the camera's lens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.canvas import Pen, painted
from robustdx.perturbations.artefacts.fields import blur, colours, require_picture, uniforms
from robustdx.perturbations.artefacts.fundus.field_of_view import field_of_view
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images

PALE = torch.tensor([[0.78, 0.76, 0.72]])
"""Dust lit by the flash."""


@final
@dataclass(frozen=True, kw_only=True)
class Dust:
    """Specks and droplets on the lens, out of focus.

    Most scatter the flash and are pale grey discs with soft edges, some only take light away. They lie inside the field of view. A
    severity keeps the specks of the one below and adds some; all become a little stronger.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("fundus",)
    random: ClassVar[bool] = True

    specks: Table = (5, 11, 20, 34, 55)
    """How many specks, at severities 1 to 5."""
    strength: Table = (0.22, 0.28, 0.34, 0.4, 0.48)
    """How much of the retina a speck hides."""

    def __post_init__(self) -> None:
        require_tables(least=1, specks=self.specks)
        require_tables(least=0, most=1, strength=self.strength)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "dust")
        count, strength = round(at(severity, self.specks)), at(severity, self.strength)
        u = uniforms(x, draws.fork("specks"), count, 5).cpu().numpy()
        seen = field_of_view(x)
        pale = strength * seen * blur(painted(x, lambda pen, i: _specks(pen, u[i][u[i, :, 3] < 0.65])), 0.008)
        dark = strength * seen * blur(painted(x, lambda pen, i: _specks(pen, u[i][u[i, :, 3] >= 0.65])), 0.008)
        return (x * (1 - dark) * (1 - pale) + pale * colours(x, PALE)).clamp(0, 1).to(x.dtype)


def _specks(pen: Pen, specks: np.ndarray) -> None:
    """Discs of 0.008 to 0.04 shorter sides, most of them small."""
    for across, down, size, _, ink in specks:
        pen.disc(np.array([across * pen.width, down * pen.height]), 0.008 + 0.012 * size + 0.02 * size**6, 0.4 + 0.6 * ink)
