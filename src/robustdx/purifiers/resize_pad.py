"""Random size, random place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class ResizePad:
    """Enlarged by a random factor, set at a random place on black, and scaled back to the size that came (Xie et al. 2018).

    Xie et al. hand the larger image to the network; here the network's input keeps its size, so the image is scaled down again by the
    largest factor. Scaling is bilinear, antialiased on the way down, at the proportions that came. The sides are drawn from
    [height, scale * height): at a scale of 1 the image is given back. Differentiable; each image in a batch has its own draw.
    """

    differentiable: ClassVar[bool] = True
    random: ClassVar[bool] = True

    scale: float = 331 / 299
    """The largest factor; Xie et al. go from 299 to 331 pixels."""

    def __post_init__(self) -> None:
        if not 1 <= self.scale < float("inf"):
            raise PlanError(f"scale must be at least 1, got {self.scale:g}")

    def __call__(self, x: Images, draws: Draws) -> Images:
        height, width = x.shape[2:]
        canvas = round(self.scale * height), round(self.scale * width)
        if canvas == (height, width) or not len(x):
            return x.clone()
        heights = draws.fork("height").integers(height, max(canvas[0], height + 1)).tolist()
        place = draws.fork("place").uniform(0, 1, like=x.new_empty(len(x), 2)).tolist()
        return torch.cat([self._one(x[i : i + 1], heights[i], canvas, place[i]) for i in range(len(x))])

    def _one(self, x: Images, tall: int, canvas: tuple[int, int], place: list[float]) -> Images:
        height, width = x.shape[2:]
        wide = min(round(width * tall / height), canvas[1])
        rows, columns = canvas[0] - tall, canvas[1] - wide
        top, left = int(place[0] * (rows + 1)), int(place[1] * (columns + 1))
        large = F.interpolate(x, size=(tall, wide), mode="bilinear", align_corners=False)
        padded = F.pad(large, (left, columns - left, top, rows - top))
        return F.interpolate(padded, size=(height, width), mode="bilinear", align_corners=False, antialias=True).clamp(0, 1)
