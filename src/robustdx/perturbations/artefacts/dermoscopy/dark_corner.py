"""The tube of the dermatoscope in the corners of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import between, colours, plane, require_picture, step, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images

TINT = torch.tensor([[0.5, 0.2, 0.9]])
"""Of the tube's inside, at most."""


@final
@dataclass(frozen=True, kw_only=True)
class DarkCorner:
    """The dark rim of the dermatoscope's tube, seen where the camera's picture is wider than the tube.

    Light falls off over a soft edge and ends at a circle that lies a little off the middle; outside it is nearly black, with a faint
    violet or brown tint. Centre and softness are drawn once; with severity the circle closes. The middle is untouched.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("dermoscopy",)
    random: ClassVar[bool] = True

    radius: Table = (1.0, 0.93, 0.86, 0.79, 0.72)
    """Where it is black: the circle's radius in half diagonals of the picture; 1 meets the corners."""

    def __post_init__(self) -> None:
        require_tables(least=0.1, radius=self.radius)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "dark_corner")
        u = uniforms(x, draws.fork("tube"), 6)
        across, down = plane(x)
        half_diagonal = float(torch.hypot(across.max(), down.max()))
        far = torch.hypot(across - between(-0.04, 0.04, u[:, 0]), down - between(-0.04, 0.04, u[:, 1])) / half_diagonal
        soft = between(0.06, 0.2, u[:, 2])
        dark = step(1 - (at(severity, self.radius) - far) / soft)
        tube = between(0.01, 0.04, u[:, 3]) * (1 + colours(x, u[:, 4:5].cpu() * TINT))
        return (x * (1 - dark) + dark * tube).clamp(0, 1).to(x.dtype)
