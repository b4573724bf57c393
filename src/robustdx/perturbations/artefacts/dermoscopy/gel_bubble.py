"""Air bubbles in the gel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.canvas import Pen, circle, painted
from robustdx.perturbations.artefacts.fields import blur, colours, plane, require_picture, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images

DARK = torch.tensor([[0.66, 0.58, 0.50]])
"""What an outline takes from red, green and blue: it looks blue-grey."""


@final
@dataclass(frozen=True, kw_only=True)
class GelBubble:
    """Bubbles of air in the gel or oil between skin and glass.

    Each is a nearly round outline, thin and dark, with a bright crescent inside where the lamps are mirrored and a few sparkles; skin
    seen through it is a little paler and smaller, as through a weak lens. Most are small, a few are large. A severity keeps the
    bubbles of the one below and adds some; outlines become a little stronger.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("dermoscopy",)
    random: ClassVar[bool] = True

    bubbles: Table = (4, 9, 16, 27, 42)
    """How many bubbles, at severities 1 to 5."""
    strength: Table = (0.5, 0.58, 0.66, 0.74, 0.82)
    """How dark the outline is."""
    refraction: float = 0.35
    """How much smaller skin looks through a bubble near its rim."""

    def __post_init__(self) -> None:
        require_tables(least=1, bubbles=self.bubbles)
        require_tables(least=0, most=1, strength=self.strength)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "gel_bubble")
        count, strength = round(at(severity, self.bubbles)), at(severity, self.strength)
        every = uniforms(x, draws.fork("bubbles"), count, 6).cpu().numpy()
        lamps = uniforms(x, draws.fork("lamps"), 1).cpu().numpy()
        dots = uniforms(x, draws.fork("sparkles"), count, 6, 3).cpu().numpy()
        apart = [_apart(bubbles, x) for bubbles in every]
        u, sparkles = [[numbers[i][kept] for i, kept in enumerate(apart)] for numbers in (every, dots)]
        outline = painted(x, lambda pen, i: _outlines(pen, u[i]))
        inside = painted(x, lambda pen, i: _insides(pen, u[i]))
        light = painted(x, lambda pen, i: _lights(pen, u[i], lamps[i, 0], sparkles[i]))
        skin = self._seen_through(x, u)
        skin = skin + inside * (0.04 + 0.10 * (1 - skin))
        skin = skin * (1 - strength * outline * colours(x, DARK))
        return (skin + (light * 0.9 + 0.25 * blur(light, 0.006)) * (1 - skin)).clamp(0, 1).to(x.dtype)

    def _seen_through(self, x: Images, u: list[np.ndarray]) -> Images:
        """The skin, smaller inside each bubble: a pixel at distance r from the middle shows what lies at r + refraction r^3."""
        across, down = (v.flatten().cpu().numpy() for v in plane(x))
        across, down = across + across[-1], down + down[-1]
        moved = np.zeros((len(x), len(down), len(across), 2), np.float32)
        for field, bubbles in zip(moved, u, strict=True):
            for b, radius in zip(bubbles, _radii(bubbles), strict=True):
                middle = b[:2] * (across[-1], down[-1])
                columns, rows = _within(across, middle[0], radius), _within(down, middle[1], radius)
                away = np.stack(np.broadcast_arrays(across[None, columns] - middle[0], down[rows, None] - middle[1]), -1) / radius
                far = (away**2).sum(-1, keepdims=True)
                field[rows, columns] = np.where(far < 1, self.refraction * radius * away * far, field[rows, columns])
        return _shifted(x, torch.from_numpy(moved).to(x.device))


def _within(line: np.ndarray, middle: float, radius: float) -> slice:
    """Which of the sorted places on a line are at most `radius` from the middle."""
    return slice(*np.searchsorted(line, (middle - radius, middle + radius)))


def _shifted(x: Images, moved: Tensor) -> Images:
    """Each pixel taken from `moved` (B, H, W, 2) shorter sides away, (across, down)."""
    height, width = x.shape[2:]
    across, down = plane(x)
    here = torch.stack(torch.broadcast_tensors(across[0, 0], down[0, 0]), -1) + moved
    unit = 2 * min(height, width) / torch.tensor([width, height], device=x.device)
    return F.grid_sample(x.float(), here * unit, mode="bilinear", padding_mode="border", align_corners=False)


def _outlines(pen: Pen, bubbles: np.ndarray) -> None:
    """Thin lines around the bubbles, each thicker at one side."""
    uneven = 1 + 0.45 * np.cos(np.linspace(0, 2 * np.pi, 40) - 2 * np.pi * bubbles[:, 5:])
    pen.strands(_rims(pen, bubbles), (0.0018 + 0.03 * _radii(bubbles)[:, None]) * uneven)


def _insides(pen: Pen, bubbles: np.ndarray) -> None:
    for rim in _rims(pen, bubbles):
        pen.area(rim)


def _apart(bubbles: np.ndarray, x: Images) -> list[int]:
    """Which bubbles of an image do not cut an earlier one: two that touch become one."""
    frame = np.array([x.shape[3], x.shape[2]]) / min(x.shape[2:])
    radii = _radii(bubbles)
    away = np.hypot(*((bubbles[:, None, :2] - bubbles[None, :, :2]) * frame).transpose(2, 0, 1))
    cut = away < radii[:, None] + radii
    kept: list[int] = []
    for k in range(len(bubbles)):
        if not cut[k, kept].any():
            kept.append(k)
    return kept


def _radii(bubbles: np.ndarray) -> np.ndarray:
    """Most bubbles are small: 0.008 to 0.10 shorter sides."""
    return 0.008 + 0.022 * bubbles[:, 2] + 0.07 * bubbles[:, 2] ** 12


def _rims(pen: Pen, bubbles: np.ndarray, inner: float = 1.0) -> np.ndarray:
    """Points (N, 40, 2) of the bubbles' outlines: circles, slightly out of shape where a bubble is large."""
    angles, radii = np.linspace(0, 2 * np.pi, 40), _radii(bubbles)[:, None]
    wave = 0.05 * np.cos(2 * angles + 6 * bubbles[:, 3:4]) + 0.025 * np.cos(3 * angles + 6 * bubbles[:, 4:5])
    out = inner * radii * (1 + np.minimum(1, radii / 0.05) * wave)
    return (bubbles[:, :2] * (pen.width, pen.height))[:, None] + out[..., None] * circle(40)


def _lights(pen: Pen, bubbles: np.ndarray, lamp: float, sparkles: np.ndarray) -> None:
    """Crescents along the rim, towards the lamps and opposite, and sparkles near the middle."""
    radii, rims = _radii(bubbles), _rims(pen, bubbles, inner=0.82)
    first = (40 * lamp + 4 * bubbles[:, 5]).astype(int)[:, None]
    for start, length, ink in ((first, 9, 1.0), (first + 19, 6, 0.7)):
        arcs = np.take_along_axis(rims, ((start + np.arange(length)) % 39)[..., None], 1)
        pen.strands(arcs, 0.16 * radii[:, None] * np.sin(np.linspace(0.2, 2.9, length)), ink)
    for b, radius, dots in zip(bubbles, radii, sparkles, strict=True):
        for dot in dots if radius > 0.015 else dots[:1]:
            spot = b[:2] * (pen.width, pen.height) + radius * 1.1 * (dot[:2] - 0.5)
            pen.disc(spot, radius * (0.03 + 0.09 * dot[2] ** 3), 0.8)
