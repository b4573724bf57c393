"""Changes of the image that leave the diagnosis as it is, drawn anew every time an image is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, per_image

GREY = (0.299, 0.587, 0.114)
"""What each colour adds to brightness (ITU-R BT.601)."""


@final
@dataclass(frozen=True, kw_only=True)
class Augment:
    """Position and colour, for the whole batch at once. The defaults fit dermoscopy, where no side is up.

    All draws belong to the image: the same image, shown for the same time, is changed the same way in any batch.
    """

    mirror: bool = True
    """Swap left and right. Say false where sides matter, as in chest X-rays."""
    quarter_turns: bool = True
    """Turn by 0, 90, 180 or 270 degrees. Say false where up is up."""
    rotate: float = 15.0
    """Turn by up to this many degrees more, either way."""
    scale: float = 0.2
    """Enlarge or shrink by a factor of up to 1 + scale."""
    shift: float = 0.1
    """Move by up to this share of the width and of the height."""
    brightness: float = 0.1
    """Add up to this much to all pixels, or take it away."""
    contrast: float = 0.15
    """Stretch differences to the mean brightness by a factor of up to 1 + contrast, or shrink them."""
    saturation: float = 0.15
    """Stretch differences to grey by a factor of up to 1 + saturation, or shrink them; grey images stay grey."""

    def __post_init__(self) -> None:
        for name in ("rotate", "scale", "shift", "brightness", "contrast", "saturation"):
            if not getattr(self, name) >= 0:
                raise PlanError(f"augment: {name} must be at least 0, got {getattr(self, name):g}")

    def __call__(self, x: Images, draws: Draws) -> Images:
        """x in [0, 1] (B, C, H, W); what moves in from outside the frame is the image mirrored at its edge."""
        return self._colour(self._move(x, draws.fork("move")), draws.fork("colour"))

    def _move(self, x: Images, draws: Draws) -> Images:
        """One affine map per image: what lies at p in the result is taken from A p + b."""
        height, width = x.shape[2:]
        u = draws.uniform(-1, 1, like=x.new_empty(len(x), 6))
        turns = (u[:, 0] * 2).floor() if self.quarter_turns else torch.zeros_like(u[:, 0])
        angle = turns * (math.pi / 2) + u[:, 1] * math.radians(self.rotate)
        zoom = torch.exp(u[:, 2] * math.log1p(self.scale))
        side = torch.where(u[:, 3] < 0, -1.0, 1.0) if self.mirror else torch.ones_like(zoom)
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        top = torch.stack([cos * side, -sin * height / width, u[:, 4] * 2 * self.shift], 1)
        bottom = torch.stack([sin * side * width / height, cos, u[:, 5] * 2 * self.shift], 1)
        grid = F.affine_grid(torch.stack([top, bottom], 1), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    def _colour(self, x: Images, draws: Draws) -> Images:
        u = draws.uniform(-1, 1, like=x.new_empty(len(x), 3))
        grey = brightness(x)
        centre = grey.mean((2, 3), keepdim=True)
        x = grey + (x - grey) * per_image(torch.exp(u[:, 0] * math.log1p(self.saturation)), x)
        x = centre + (x - centre) * per_image(torch.exp(u[:, 1] * math.log1p(self.contrast)), x)
        return (x + per_image(u[:, 2] * self.brightness, x)).clamp_(0, 1)


def brightness(x: Images) -> Tensor:
    """(B, 1, H, W): how bright each pixel is; of images that are not RGB, the mean of the channels."""
    weights = x.new_tensor(GREY if x.shape[1] == 3 else [1 / x.shape[1]] * x.shape[1])
    return (x * weights.view(1, -1, 1, 1)).sum(1, keepdim=True)
