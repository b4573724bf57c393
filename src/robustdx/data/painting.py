"""Paints a photograph of an invented lesion with numpy, directly at the size that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from robustdx.data.lesions import ANGLES, NETWORK, STREAKS, VEIL, Floats, Lesion, stream
from robustdx.data.protocol import Pixels

COLOURS = np.array(
    [
        [0.62, 0.42, 0.28],  # light brown
        [0.42, 0.26, 0.17],  # brown
        [0.30, 0.17, 0.12],  # dark brown
        [0.12, 0.09, 0.09],  # black
        [0.70, 0.22, 0.22],  # red
        [0.45, 0.50, 0.60],  # blue-grey
    ],
    dtype=np.float32,
)
_VEIL = np.array([0.58, 0.64, 0.74], dtype=np.float32)
_CYST = np.array([0.95, 0.90, 0.80], dtype=np.float32)
_LACUNA = np.array([0.50, 0.05, 0.12], dtype=np.float32)
_DARK = np.array([0.10, 0.06, 0.05], dtype=np.float32)


@dataclass(frozen=True)
class Photo:
    """How one photograph was taken: framing, light, hair. Two photos of a lesion differ in this alone."""

    seed: int
    """The world of the lesion."""
    name: str
    """The photograph."""

    @cached_property
    def framing(self) -> Floats:
        """Shift right and down, rotation, zoom."""
        rng = stream("framing", self.seed, self.name)
        return np.array([*rng.uniform(-0.18, 0.18, 2), rng.uniform(0, 2 * np.pi), rng.uniform(0.85, 1.2)], dtype=np.float32)

    def places(self, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Where each pixel lies in the frame of the lesion: x and y, (H, W)."""
        right, down, turn, zoom = self.framing
        half = min(size) / 2
        x = ((np.arange(size[1], dtype=np.float32) + 0.5 - size[1] / 2) / half - right)[None, :] / zoom
        y = ((np.arange(size[0], dtype=np.float32) + 0.5 - size[0] / 2) / half - down)[:, None] / zoom
        cos, sin = np.cos(turn), np.sin(turn)
        return cos * x - sin * y, sin * x + cos * y


def paint(lesion: Lesion, photo: Photo, size: tuple[int, int]) -> Pixels:
    """The photograph, (H, W, 3) with 8 bits."""
    x, y = photo.places(size)
    radius, direction = np.hypot(x, y), _direction(x, y)
    inside = _coverage((lesion.outline[direction] - radius) * lesion.sharpness)
    canvas = np.empty((3, *size), dtype=np.float32)
    canvas[:] = lesion.skin[:, None, None]
    _pigment(canvas, lesion, x, y, inside)
    _structures(canvas, lesion, x, y, inside)
    if lesion.structures[STREAKS]:
        _blend(canvas, 0.85 * _rays(lesion, radius, direction), _DARK)
    for dots, colour in ((lesion.lacunae, _LACUNA), (lesion.globules, _DARK), (lesion.cysts, _CYST)):
        _dots(canvas, x, y, dots, photo, colour)
    _light(canvas, photo)
    _hair(canvas, photo)
    return np.ascontiguousarray((canvas.clip(0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0))


def outline_mask(lesion: Lesion, photo: Photo, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels lie inside the outline, (H, W)."""
    x, y = photo.places(size)
    return np.hypot(x, y) < lesion.outline[_direction(x, y)]


def dot_boxes(dots: Floats, photo: Photo, size: tuple[int, int]) -> NDArray[np.float64]:
    """Left, top, right, bottom in pixels, (n, 4), of dots given in the frame of the lesion."""
    right, down, turn, zoom = (float(v) for v in photo.framing)
    half, cos, sin = min(size) / 2, np.cos(turn), np.sin(turn)
    x, y, r = (dots.astype(np.float64) * zoom).T
    across = (cos * x + sin * y + right) * half + size[1] / 2
    below = (cos * y - sin * x + down) * half + size[0] / 2
    return np.stack([across - r * half, below - r * half, across + r * half, below + r * half], axis=1)


def _direction(x: Floats, y: Floats) -> NDArray[np.int_]:
    return (np.arctan2(y, x) * (ANGLES / (2 * np.pi))).astype(int) % ANGLES


def _coverage(depth: Floats) -> Floats:
    """0 outside, 1 inside, smooth over a depth of -0.5 to 0.5."""
    t = (depth + np.float32(0.5)).clip(0, 1)
    return t * t * (3 - 2 * t)


def _blend(canvas: Floats, share: Floats, colour: Floats) -> None:
    """Lay a colour (3,) or (3, H, W) over the canvas, as much of it as `share` says at each pixel."""
    canvas += share * (colour.reshape(3, *colour.shape[1:] or (1, 1)) - canvas)


def _pigment(canvas: Floats, lesion: Lesion, x: Floats, y: Floats, inside: Floats) -> None:
    pigment = np.empty_like(canvas)
    pigment[:] = COLOURS[lesion.base][:, None, None]
    for px, py, width, colour in lesion.patches:
        _blend(pigment, _coverage(1.2 - ((x - px) ** 2 + (y - py) ** 2) / (width * width)), COLOURS[int(colour)])
    _blend(canvas, 0.92 * inside, pigment)


def _structures(canvas: Floats, lesion: Lesion, x: Floats, y: Floats, inside: Floats) -> None:
    if lesion.structures[VEIL]:
        px, py = 0.2 * np.cos(lesion.tilt), 0.2 * np.sin(lesion.tilt)
        _blend(canvas, 0.75 * inside * _coverage((1.0 - ((x - px) ** 2 + (y - py) ** 2) / 0.07).astype(np.float32)), _VEIL)
    if lesion.structures[NETWORK]:
        _blend(canvas, 0.45 * inside * _mesh(x, y, lesion.tilt), _DARK)


def _mesh(x: Floats, y: Floats, tilt: float) -> Floats:
    """A slightly bent net of two crossing sets of lines, 0.16 apart."""
    pace = np.float32(2 * np.pi / 0.16)
    cos, sin = np.float32(np.cos(tilt)) * pace, np.float32(np.sin(tilt)) * pace
    lines = np.maximum(np.cos(cos * x + sin * y + np.sin(9 * y)), np.cos(cos * y - sin * x + np.sin(7 * x)))
    return _coverage((lines - np.float32(0.6)) * 2)


def _rays(lesion: Lesion, radius: Floats, direction: NDArray[np.int_]) -> Floats:
    """Short radial lines across the edge, over a third of the outline."""
    angle = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False, dtype=np.float32)
    there = _coverage((np.cos(angle - np.float32(lesion.tilt)) - np.float32(0.3)) * 4) * (np.cos(26 * angle) > 0.1)
    return there[direction] * _coverage(np.float32(1.2) - np.abs(radius - 1.02 * lesion.outline[direction]) * 8)


def _dots(canvas: Floats, x: Floats, y: Floats, dots: Floats, photo: Photo, colour: Floats) -> None:
    """Each dot is painted in its own small window."""
    size = canvas.shape[1:]
    pixel = float(2 / min(size) / photo.framing[3])
    windows = np.stack([np.floor(b) if k < 2 else np.ceil(b) + 1 for k, b in enumerate(dot_boxes(dots, photo, size).T)], axis=1).clip(0)
    for (px, py, r), (left, top, right, bottom) in zip(dots, windows.astype(int).tolist(), strict=True):
        here = (slice(top, bottom), slice(left, right))
        depth = (r - np.hypot(x[here] - px, y[here] - py)) / max(pixel, 0.3 * float(r))
        _blend(canvas[:, *here], 0.8 * _coverage(depth), colour)


def _light(canvas: Floats, photo: Photo) -> None:
    """Uneven light, dark corners, mottled skin, the camera's white balance and noise."""
    rng = stream("light", photo.seed, photo.name)
    size = canvas.shape[1:]
    rows, columns = (np.linspace(-1, 1, n, dtype=np.float32) for n in size)
    tilt_rows, tilt_columns, corner = rng.uniform((-0.1, -0.1, 0), (0.1, 0.1, 0.22)).astype(np.float32)
    balance, coarse = rng.normal(1, 0.03, 3).astype(np.float32), rng.normal(1, 0.025, (9, 9)).astype(np.float32)
    shade = np.asarray(Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC))
    shade = shade + tilt_rows * rows[:, None] + tilt_columns * columns - corner / 4 * (rows[:, None] ** 2 + columns**2) ** 2
    canvas *= shade * balance[:, None, None]
    canvas += np.float32(0.018) * rng.standard_normal(size, dtype=np.float32)


def _hair(canvas: Floats, photo: Photo) -> None:
    rng = stream("hair", photo.seed, photo.name)
    height, width = canvas.shape[1:]
    half = min(height, width) / 2
    x = ((np.arange(width, dtype=np.float32) - width / 2) / half)[None, :]
    y = ((np.arange(height, dtype=np.float32) - height / 2) / half)[:, None]
    for _ in range(int(rng.poisson(1.2))):
        turn, offset, bend, thick = rng.uniform((0, -0.9, -0.25, 0.012), (np.pi, 0.9, 0.25, 0.025)).astype(np.float32)
        along, across = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
        distance = np.abs(across - offset - bend * along * along)
        _blend(canvas, np.float32(0.7) * _coverage((thick - distance) * np.float32(half)), _DARK)
