"""Lengths in pixels: tables are written for 224 pixels, and grow or shrink with the shorter side of an image.

Structure that is drawn (snow, frost, fog) is made at the size at which the shorter side has 224 pixels, and brought to the image's size;
so the tables of Hendrycks and Dietterich (2019) are exact at 224, and mean the same picture at any other size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from robustdx.tensors import Images

REFERENCE = 224
"""The side, in pixels, for which the tables are written."""


def scale_of(x: Images) -> float:
    """How long one pixel of the tables is in pixels of these images: the shorter side divided by 224."""
    return min(x.shape[2:]) / REFERENCE


def sides_in_tables(x: Images) -> tuple[int, int]:
    """Rows and columns of these images when their shorter side has 224 pixels."""
    rows, columns = (max(REFERENCE, round(side / scale_of(x))) for side in x.shape[2:])
    return rows, columns


def canvas(x: Images, channels: int = 1) -> Images:
    """Something of the size `sides_in_tables`, in the dtype and on the device of x, to draw like."""
    return x.new_empty(len(x), channels, *sides_in_tables(x))


def fitted(layer: Images, like: Images) -> Images:
    """A layer of the size of `canvas` at the size of the images: antialiased bilinear, and untouched where the sizes agree."""
    size = tuple(like.shape[2:])
    if tuple(layer.shape[2:]) == size:
        return layer
    return F.interpolate(layer, size=size, mode="bilinear", align_corners=False, antialias=True)


def zoomed(x: Images, factor: float) -> Images:
    """The middle of the images, `factor` times as large, in their own size: corners of the crop fall on corners of the result."""
    rows, columns = x.shape[2:]
    crop = [int(-(-side // factor)) for side in (rows, columns)]
    top, left = (rows - crop[0]) // 2, (columns - crop[1]) // 2
    inside = x[:, :, top : top + crop[0], left : left + crop[1]]
    size = [max(round(c * factor), side) for c, side in zip(crop, (rows, columns), strict=True)]
    large = F.interpolate(inside, size=size, mode="bilinear", align_corners=True)
    top, left = (large.shape[2] - rows) // 2, (large.shape[3] - columns) // 2
    return large[:, :, top : top + rows, left : left + columns]


def grid(x: Images) -> torch.Tensor:
    """Pixel coordinates (H, W, 2), column first, of the images."""
    rows, columns = (torch.arange(side, dtype=x.dtype, device=x.device) for side in x.shape[2:])
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], dim=-1)
