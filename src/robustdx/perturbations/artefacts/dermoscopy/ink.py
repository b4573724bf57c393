"""Where the surgeon has marked the lesion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.canvas import Pen, painted
from robustdx.perturbations.artefacts.fields import blur, colours, luma, plane, require_picture, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images

COLOURS = torch.tensor([[0.34, 0.18, 0.72], [0.28, 0.12, 0.62], [0.42, 0.30, 0.80], [0.08, 0.30, 0.66], [0.20, 0.17, 0.26]])
"""What light a layer of ink lets through: three violets, blue, and nearly black."""
HATCHES = 260
"""The most creases of one stroke that hold ink."""


@final
@dataclass(frozen=True, kw_only=True)
class Ink:
    """Strokes of a skin marker around the lesion.

    Ink dries in the fine creases of the skin: a stroke is a pale film and many short hatches in the two directions of the creases.
    The lesion is taken for what is darkest near the middle of the picture; strokes follow its rim at some distance. A severity keeps
    the strokes of the one below, adds some, and fills more creases with darker ink. Ink takes light away, so skin shows through.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("dermoscopy",)
    random: ClassVar[bool] = True

    strokes: Table = (1, 2, 3, 4, 6)
    """How many strokes, at severities 1 to 5."""
    filled: Table = (0.3, 0.45, 0.6, 0.8, 1.0)
    """The share of creases under a stroke that hold ink."""
    opacity: Table = (0.6, 0.7, 0.8, 0.88, 0.95)
    """How much of the ink's colour is taken on."""

    def __post_init__(self) -> None:
        require_tables(least=1, strokes=self.strokes)
        require_tables(least=0, most=1, filled=self.filled, opacity=self.opacity)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "ink")
        strokes, filled = round(at(severity, self.strokes)), at(severity, self.filled)
        middle, spread = (v.cpu().numpy() for v in lesion(x))
        skin = uniforms(x, draws.fork("skin"), 2).cpu().numpy()
        shape = uniforms(x, draws.fork("strokes"), strokes, 6).cpu().numpy()
        creases = uniforms(x, draws.fork("creases"), strokes, HATCHES, 5).cpu().numpy()

        def paint(pen: Pen, i: int) -> None:
            paths = [_path(pen, middle[i], spread[i], s, k) for k, s in enumerate(shape[i])]
            for path, s in zip(paths, shape[i], strict=True):
                _film(pen, path, s, ink=0.14 + 0.10 * filled)
            for path, s, u in zip(paths, shape[i], creases[i], strict=True):
                _hatch(pen, path, _width(s), skin[i], u[: round(filled * HATCHES)])

        mask = painted(x, paint)
        colour = colours(x, COLOURS[draws.fork("colour").integers(0, len(COLOURS))])
        return (x * (1 - at(severity, self.opacity) * mask * (1 - colour))).to(x.dtype)


def lesion(x: Images) -> tuple[Tensor, Tensor]:
    """Where the lesion seems to lie, (B, 2) from the middle, and how far it spreads, (B, 2): in shorter sides, (across, down).

    The centre and twice the deviation of darkness, weighed by nearness to the middle so that dark corners do not count.
    """
    across, down = plane(x)
    grey = blur(luma(x).float(), 0.02)
    bright = grey.flatten(1).quantile(0.6, dim=1).view(-1, 1, 1, 1)
    weight = (bright - grey).clamp(min=0) ** 1.5 * torch.exp(-(across**2 + down**2) / (2 * 0.28**2)) + 1e-6
    weight = weight / weight.sum((2, 3), keepdim=True)
    centre = torch.stack([(weight * across).sum((1, 2, 3)), (weight * down).sum((1, 2, 3))], 1)
    away = torch.stack([(weight * across**2).sum((1, 2, 3)), (weight * down**2).sum((1, 2, 3))], 1) - centre**2
    return centre, 2 * away.clamp(min=0).sqrt()


def _width(stroke: np.ndarray) -> float:
    return 0.02 + 0.035 * stroke[4]


def _path(pen: Pen, middle: np.ndarray, spread: np.ndarray, u: np.ndarray, k: int) -> np.ndarray:
    """An arc of an ellipse around the lesion; strokes are spread around it by the golden angle."""
    frame = np.array([pen.width, pen.height])
    radii = np.clip(spread * (1.15 + 0.3 * u[2]) + 0.06, 0.22, 0.43 * frame)
    start = 2 * np.pi * (u[0] * 0.15 + 0.618 * k) + 2 * np.pi * u[5] * 0.1
    angles = np.linspace(start, start + (0.35 + 0.9 * u[1]), 24)
    wobble = 1 + 0.05 * np.sin(3 * angles + 6 * u[3])
    return frame / 2 + middle + radii * wobble[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


def _film(pen: Pen, path: np.ndarray, stroke: np.ndarray, ink: float) -> None:
    """The pale layer between creases: fibres of the pen's tip side by side, each of its own length."""
    along = np.gradient(path, axis=0)
    normal = along[:, ::-1] * (-1, 1) / np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-9)
    for k in range(7):
        cut = int(4 * abs(np.sin(9 * k + 40 * stroke[3]))), int(5 * abs(np.sin(7 * k + 60 * stroke[0])))
        part = slice(cut[0], len(path) - cut[1])
        pen.strand((path + (k - 3) * 0.13 * _width(stroke) * normal)[part], 0.15 * _width(stroke), ink * (0.7 + 0.3 * np.sin(5 * k)))


def _hatch(pen: Pen, path: np.ndarray, width: float, skin: np.ndarray, u: np.ndarray) -> None:
    """Inked creases along a path: place along and across it, direction, length, jitter."""
    t = u[:, 0] + 0.06 * np.sin(2 * np.pi * (3 * u[:, 0] + 7 * skin[0]))  # ink gathers where the pen slows down
    index = np.clip(t * len(path), 0, len(path) - 1).astype(int)
    place, along = path[index], np.gradient(path, axis=0)[index]
    place = place + along * (u[:, 4:5] - 0.5)
    normal = along[:, ::-1] * (-1, 1) / np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-9)
    place = place + normal * ((u[:, 1:2] + u[:, 4:5] - 1) * 0.75 * width * np.sin(np.pi * (0.12 + 0.76 * u[:, :1])))
    angle = np.pi * skin[0] + np.where(u[:, 2] < 0.5, -0.5, 0.5) * (0.9 + 0.5 * skin[1]) + 0.7 * (u[:, 3] * 7 % 1 - 0.5)
    half = (0.0015 + 0.014 * u[:, 3:4] ** 3) * np.stack([np.cos(angle), np.sin(angle)], 1)
    pen.hatches(place - half, place + half, 0.0022)
