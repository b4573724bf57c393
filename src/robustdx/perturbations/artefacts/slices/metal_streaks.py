"""Streaks from metal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import between, blur, luma, plane, require_picture, step, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images

HARMONICS = 40
"""Of the streaks' pattern around the metal."""
CANDIDATES = 12
"""Places of which the brightest gets the metal."""


@final
@dataclass(frozen=True, kw_only=True)
class MetalStreaks:
    """Bright and dark streaks from a clip, an electrode or a screw, as filtered back projection spreads what the metal hides.

    The metal is a small white disc in dense tissue. Around it, brightness depends on direction: the same forwards and backwards, many
    thin streaks and, along the metal's long axis, broad dark bands. Streaks fade with distance. Place and pattern are drawn once, and
    their amplitude grows.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("ct",)
    random: ClassVar[bool] = True

    amplitude: Table = (0.04, 0.075, 0.12, 0.18, 0.27)
    """Of the streaks beside the metal."""

    def __post_init__(self) -> None:
        require_tables(least=0, amplitude=self.amplitude)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "metal_streaks")
        u = uniforms(x, draws.fork("metal"), 3)
        place = dense_place(x, uniforms(x, draws.fork("places"), CANDIDATES, 2))
        across, down = plane(x)
        right, low = across - place[:, 0], down - place[:, 1]
        far, angle = torch.hypot(right, low), torch.atan2(low, right)
        size = between(0.009, 0.018, u[:, 0])
        streaks = star(angle, u[:, 1:2], draws.fork("streaks"), x)
        fading = torch.exp(-far / between(0.3, 0.6, u[:, 2])) * step((far - size) / 0.02)
        shown = x + at(severity, self.amplitude) * fading * streaks
        metal = 1 - step((far - size) / (0.5 / min(x.shape[2:]) + 0.3 * size))
        return (shown * (1 - metal) + metal).clamp(0, 1).to(x.dtype)


def dense_place(x: Images, u: Tensor) -> Tensor:
    """The brightest of some places (B, N, 2) in the middle part of the image, as (B, 2, 1, 1, 1): (across, down)."""
    height, width = x.shape[2:]
    rows, columns = ((0.2 + 0.6 * u[..., k]) * (n - 1) for k, n in ((1, height), (0, width)))
    grey = blur(luma(x).float(), 0.02)[:, 0]
    images = torch.arange(len(x), device=x.device)[:, None]
    best = grey[images, rows.round().long(), columns.round().long()].argmax(1, keepdim=True)
    middle = [(v.gather(1, best) - (n - 1) / 2) / min(height, width) for v, n in ((columns, width), (rows, height))]
    return torch.stack(middle, 1).view(-1, 2, 1, 1, 1)


def star(angle: Tensor, axis: Tensor, draws: Draws, x: Images) -> Tensor:
    """A random pattern of direction, the same in opposite directions and dark along `axis`, (B, 1, H, W): read from a table."""
    steps = 1024
    waves = draws.normal(like=x.new_empty(len(x), 2, HARMONICS, dtype=torch.float32))
    around = torch.arange(steps + 1, device=x.device) * (math.pi / steps)
    turns = 2 * around * torch.arange(1, HARMONICS + 1, device=x.device)[:, None]
    table = (waves[:, 0] @ turns.cos() + waves[:, 1] @ turns.sin()) / math.sqrt(HARMONICS)
    table = table.sign() * table.abs() ** 1.3 - 1.5 * torch.cos(around - math.pi * axis).abs() ** 10
    index = (angle % math.pi) * (steps / math.pi)
    return table.gather(1, index.long().clamp(max=steps).flatten(1)).view_as(angle)
