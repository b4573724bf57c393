"""An image photographed from a screen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.scale import scale_of
from robustdx.perturbations.severity import Table, at, require_channels, require_sides, require_tables
from robustdx.tensors import Images

LUMINANCE = (0.299, 0.587, 0.114)
STRIPES, ROWS = 0.65, 0.35
"""How much of the pattern comes from the stripes of red, green and blue, and how much from the rows of the screen."""


@final
@dataclass(frozen=True, kw_only=True)
class Moire:
    """A phone's photograph of a screen (own): coloured fringes where the grid of the screen beats with that of the camera.

    Screen and camera have grids of nearly one pitch, turned by a few degrees, so stripes and rows of the screen appear with the difference
    of both frequencies: f = R (1/pitch) - 1. Red, green and blue stripes lie a third of a pitch apart, so their fringes do; the lens bends
    them. The light that gaps between stripes take is given back by the camera's exposure, and black shines a little. An image has the
    same fringes at all severities.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = True

    depth: Table = (0.08, 0.14, 0.22, 0.34, 0.5)
    """How much of the light the dark fringes lose at each severity."""
    pitch: float = 0.06
    """The pitch of the screen, in pixels of the camera, is drawn from 1 minus to 1 plus this."""
    tilt: float = 4.0
    """The screen is turned by up to so many degrees to either side."""

    def __post_init__(self) -> None:
        require_tables(least=0, most=1, depth=self.depth)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        depth = at(severity, self.depth)
        require_channels(x, "moire")
        require_sides(x, 8, "moire")
        shining = x + 0.1 * depth * (1 - x)
        return (shining * (1 - depth / 2 * (1 + self._fringes(x, draws))) / (1 - depth / 2)).clamp_(0, 1)

    def _fringes(self, x: Images, draws: Draws) -> Tensor:
        """The pattern (B, C, H, W) in [-1, 1]."""
        angle, pitch, bend, *phases = draws.uniform(-1, 1, like=x.new_empty(len(x), 5))[:, :, None, None].unbind(1)
        turned, frequency = angle * math.radians(self.tilt), 1 / (1 + self.pitch * pitch)
        rows, columns = (self._line(side, scale_of(x), x) for side in x.shape[2:])
        down, across = rows[:, None].expand(-1, len(columns)), columns.expand(len(rows), -1)
        bent = 1 + 0.2 * bend * (down**2 + across**2) / 112**2
        cosine, sine = frequency * turned.cos(), frequency * turned.sin()
        stripes = ((cosine - 1) * across - sine * down) * bent + phases[0]
        lines = (sine * across + (cosine - 1) * down) * bent + phases[1]
        thirds = x.new_tensor([0, 1 / 3, 2 / 3]).view(3, 1, 1)
        colours = torch.cos(2 * math.pi * (stripes[:, None] + thirds))
        if x.shape[1] == 1:
            colours = (colours * x.new_tensor(LUMINANCE).view(3, 1, 1)).sum(1, keepdim=True)
        return STRIPES * colours + ROWS * torch.cos(2 * math.pi * lines[:, None])

    def _line(self, side: int, scale: float, like: Tensor) -> Tensor:
        """Places along one side from the middle, in pixels of an image whose shorter side has 224."""
        return (torch.arange(side, dtype=like.dtype, device=like.device) - side / 2) / scale
