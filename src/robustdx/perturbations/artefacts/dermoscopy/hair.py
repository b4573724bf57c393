"""Hair across the lesion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.canvas import curves, painted
from robustdx.perturbations.artefacts.fields import blur, colours, require_picture, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images

COLOURS = torch.tensor(
    [[0.07, 0.05, 0.05], [0.17, 0.10, 0.07], [0.28, 0.17, 0.10], [0.36, 0.20, 0.10], [0.45, 0.31, 0.21], [0.38, 0.35, 0.35]]
)
"""Black, dark brown, brown, red, dark blond, grey."""


@final
@dataclass(frozen=True, kw_only=True)
class Hair:
    """Hairs that were not shaved before the picture was taken.

    Curved strands that grow roughly the same way and taper to their tips, of one person's colour, paler along the middle where they
    shine, with a soft shadow on the skin beside them. A severity keeps the strands of the one below and adds some.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("dermoscopy",)
    random: ClassVar[bool] = True

    strands: Table = (4, 9, 16, 26, 42)
    """How many hairs, at severities 1 to 5."""
    thickness: float = 0.0055
    """Of a usual hair at its root, in shorter sides of the image; they lie between 0.35 and 1.6 of it."""
    shadow: float = 0.25
    """How much darker the skin is in the shadow's middle."""

    def __post_init__(self) -> None:
        require_tables(least=1, strands=self.strands)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "hair")
        count = round(at(severity, self.strands))
        frame = np.array([x.shape[3], x.shape[2]]) / min(x.shape[2:])
        u = uniforms(x, draws.fork("strands"), count, 7).cpu().numpy()
        person = uniforms(x, draws.fork("person"), 3).cpu().numpy()
        grown = [self._grown(frame, strands, p[0]) for strands, p in zip(u, person, strict=True)]

        def strands(scale: float, shift: float) -> torch.Tensor:
            return painted(x, lambda pen, i: pen.strands(grown[i][0] + shift * (person[i, 1:] - 0.5), scale * grown[i][1]))

        body, shine, shade = strands(1.0, 0.0), strands(0.35, 0.0), blur(strands(1.6, 0.02), 0.004)
        colour = colours(x, COLOURS[draws.fork("colour").integers(0, len(COLOURS))])
        skin = x * (1 - self.shadow * shade)
        return (skin + 0.93 * body * (colour + 0.08 * shine - skin)).clamp(0, 1).to(x.dtype)

    def _grown(self, frame: np.ndarray, u: np.ndarray, growth: float) -> tuple[np.ndarray, np.ndarray]:
        """Points and widths of an image's strands: u holds place (2), direction, length, thickness, and two numbers for the curve."""
        headings = 2 * np.pi * growth + 17.6 * (u[:, 2] - 0.5) ** 3
        lengths = 0.35 + 0.9 * u[:, 3]
        roots = u[:, :2] * frame - 0.5 * lengths[:, None] * np.stack([np.cos(headings), np.sin(headings)], 1)
        points = curves(roots, headings, lengths, 2.4 * (u[:, 5] - 0.5), 2.0 * (u[:, 6] - 0.5))
        taper = np.linspace(1, 0, points.shape[1]) ** 0.6 * 0.85 + 0.15
        return points, self.thickness * (0.35 + 1.25 * u[:, 4:5] ** 1.5) * taper
