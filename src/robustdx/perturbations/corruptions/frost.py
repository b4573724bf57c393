"""An image behind a frosted pane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
import torch.nn.functional as F

from robustdx.draws import Draws
from robustdx.perturbations.kernels import convolve, streak
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.scale import canvas, fitted
from robustdx.perturbations.severity import Table, at, require_channels, require_tables
from robustdx.tensors import Images

ICE = (0.78, 0.9, 1.0)
"""Its colour: white with little red."""
NEEDLES = ((24, 10), (12, 7), (6, 5))
"""Distance between needles, and half their length, in pixels of an image whose shorter side has 224."""


@final
@dataclass(frozen=True, kw_only=True)
class Frost:
    """Ice on the pane (after Hendrycks and Dietterich 2019): kept x + ice f.

    Their f is one of five photographs. Ours is drawn, so that nothing has to be shipped or licensed: needles of three sizes in directions
    of their own, denser to the border. So results cannot be compared with ImageNet-C's frost. An image has the same ice at all severities.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = True

    kept: Table = (1, 0.8, 0.7, 0.65, 0.6)
    """What is left of the image at each severity."""
    ice: Table = (0.4, 0.6, 0.7, 0.7, 0.75)
    """How bright the ice is, where white is 1."""

    def __post_init__(self) -> None:
        require_tables(least=0, most=1, kept=self.kept, ice=self.ice)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        kept, ice = at(severity, self.kept), at(severity, self.ice)
        require_channels(x, "frost")
        frost = fitted(crystals(canvas(x), draws), x)
        tint = x.new_tensor(ICE if x.shape[1] == 3 else (sum(ICE) / 3,)).view(1, -1, 1, 1)
        return (kept * x + ice * tint * frost).clamp_(0, 1)


def crystals(like: Images, draws: Draws) -> Images:
    """Needles of ice (B, 1, H, W) in [0, 1]."""
    total = torch.zeros_like(like)
    for i, (apart, length) in enumerate(NEEDLES):
        own = draws.fork("needles", i)
        coarse = own.normal(like=like.new_empty(len(like), 1, *(side // apart + 2 for side in like.shape[2:])))
        hills = F.interpolate(coarse, size=like.shape[2:], mode="bicubic", align_corners=True)
        ridges = (1 - hills.abs()).clamp_min_(0) ** 3
        angles = own.uniform(0, 360, like=like[:, 0, 0, 0]).tolist()
        grain = 0.4 + 1.2 * own.fork("grain").uniform(0, 1, like=like)
        total += convolve(ridges * grain, [streak(length, length / 2, angle, 1) for angle in angles], "replicate", "frost")
    return (total * (0.35 + 0.65 * _towards_border(like)) * 0.75).clamp_(0, 1)


def _towards_border(like: Images) -> Images:
    """0 in the middle and 1 at the border, (H, W)."""
    rows, columns = (torch.linspace(-1, 1, side, dtype=like.dtype, device=like.device) for side in like.shape[2:])
    return torch.maximum(rows[:, None].abs(), columns.abs()) ** 1.5
