"""A pen whose marks look alike at every image size.

Marks are drawn on a canvas several times larger than the image and averaged down to it: a strand thinner than a pixel becomes a pale
line, as it does in a photograph that is scaled down. The unit of length is the image's shorter side; (0, 0) is its upper left corner,
points are (across, down).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from robustdx.tensors import Images

CANVAS = 640
"""The canvas's shorter side has at least so many pixels."""


@dataclass(frozen=True)
class Pen:
    """Draws on the canvas of one image; what it draws last hides what lies below."""

    draw: ImageDraw.ImageDraw
    unit: float
    """Canvas pixels in one unit of length."""
    width: float
    """Of the image, in units."""
    height: float
    """Of the image, in units."""

    def strand(self, points: np.ndarray, widths: np.ndarray | float, ink: float = 1.0) -> None:
        """A line through (K, 2) points that is `widths` wide at each of them."""
        self.strands(points[None], np.broadcast_to(widths, (1, len(points))), ink)

    def strands(self, points: np.ndarray, widths: np.ndarray, ink: np.ndarray | float = 1.0) -> None:
        """Lines through (N, K, 2) points that are `widths` (N, K) wide, with one `ink` or N."""
        along = np.gradient(points, axis=1)
        along /= np.maximum(np.hypot(along[..., :1], along[..., 1:]), 1e-9)
        across = along[..., ::-1] * (-1, 1) * np.maximum(widths, 1.3 / self.unit)[..., None] / 2
        outlines = np.concatenate([points + across, (points - across)[:, ::-1]], 1) * self.unit - 0.5
        fills = np.broadcast_to(np.rint(255 * np.asarray(ink)).astype(int), len(points)).tolist()
        for outline, fill in zip(outlines.reshape(len(points), -1).tolist(), fills, strict=True):
            self.draw.polygon(outline, fill=fill)

    def area(self, points: np.ndarray, ink: float = 1.0) -> None:
        """What a closed line through (N, 2) points encloses."""
        self.draw.polygon((points * self.unit - 0.5).ravel().tolist(), fill=round(255 * ink))

    def hatches(self, starts: np.ndarray, ends: np.ndarray, width: float, ink: float = 1.0) -> None:
        """Many short straight lines."""
        for line in (np.concatenate([starts, ends], 1) * self.unit).tolist():
            self.draw.line(line, fill=round(255 * ink), width=max(1, round(width * self.unit)))

    def disc(self, centre: np.ndarray, radius: float, ink: float = 1.0) -> None:
        """A filled circle."""
        self.area(centre + radius * circle(24), ink)

    def write(self, text: str, centre: np.ndarray, size: float, turned: float = 0.0, ink: float = 1.0) -> None:
        """Words `size` high around a point, turned by degrees against the clock."""
        font = ImageFont.load_default(size=size * self.unit)
        box = self.draw.textbbox((0, 0), text, font=font)
        stamp = Image.new("L", (math.ceil(box[2]) + 2, math.ceil(box[3]) + 2))
        ImageDraw.Draw(stamp).text((0, 0), text, fill=255, font=font)
        stamp = stamp.crop(box).rotate(turned, expand=True, resample=Image.Resampling.BILINEAR)
        left, top = (int(v) for v in centre * self.unit - np.array(stamp.size) / 2)
        self.draw.bitmap((left, top), stamp, fill=round(255 * ink))


def painted(x: Images, paint: Callable[[Pen, int], None]) -> Tensor:
    """How much of each pixel `paint(pen, i)` covers in image i: (B, 1, H, W) in [0, 1], float32 on the device of x."""
    height, width = x.shape[2:]
    side = min(height, width)
    factor = max(2, math.ceil(CANVAS / side))
    masks = np.empty((len(x), 1, height, width), np.float32)
    for i in range(len(x)):
        canvas = Image.new("L", (width * factor, height * factor))
        paint(Pen(ImageDraw.Draw(canvas), side * factor, width / side, height / side), i)
        masks[i, 0] = np.asarray(canvas.reduce(factor), np.float32) / 255
    return torch.from_numpy(masks).to(x.device)


def circle(count: int) -> np.ndarray:
    """Points of the unit circle, (count, 2), the first one given again at the end."""
    angles = np.linspace(0, 2 * np.pi, count)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def curves(
    starts: np.ndarray, headings: np.ndarray, lengths: np.ndarray, bends: np.ndarray, changes: np.ndarray, count: int = 28
) -> np.ndarray:
    """Curved lines of (N, count, 2) points: they turn by `bends` radians over their lengths, and by `changes` more towards their ends."""
    t = np.linspace(0, 1, count)
    angles = headings[:, None] + bends[:, None] * t + changes[:, None] * t * t
    steps = np.stack([np.cos(angles), np.sin(angles)], 2) * (lengths[:, None, None] / (count - 1))
    steps[:, 0] = 0
    return starts[:, None] + np.cumsum(steps, 1)


def smooth_line(knots: np.ndarray, count: int = 40) -> np.ndarray:
    """A line without corners near (N, 2) knots: their Bezier curve, as (count, 2) points."""
    t = np.linspace(0, 1, count)[:, None]
    n = len(knots) - 1
    return np.asarray(sum(math.comb(n, k) * t**k * (1 - t) ** (n - k) * knots[k] for k in range(n + 1)))
