"""The changes of a box, for a whole batch at once and differentiable in their parameters: position, sharpness, colour.

Every parameter is a tensor (B,), one value for each image, and every change gives the image back exactly at 0.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor
from torch.nn import functional as F

from robustdx.errors import ImageError
from robustdx.tensors import Images, PerImage, per_image

Fill = Literal["reflection", "edge"]

GREY = (0.299, 0.587, 0.114)
"""What each colour adds to brightness (ITU-R BT.601)."""
SHARP = 1e-3
"""In pixels: a bell this narrow lies within one pixel, and leaves the image as it is."""


def moved(x: Images, rotation: PerImage, shift_x: PerImage, shift_y: PerImage, scale: PerImage, fill: Fill) -> Images:
    """Turned and enlarged about the centre, then shifted, in one bilinear resampling.

    rotation: degrees, against the clock; shift_x, shift_y: to the right and down, as shares of width and height; scale: enlarged by a
    factor of 1 + scale. What comes in from outside the frame is the image mirrored at its edge, or its last row or column going on.
    """
    height, width = x.shape[2:]
    angle = torch.deg2rad(rotation)
    cos, sin = angle.cos() / (1 + scale), angle.sin() / (1 + scale)
    top, bottom = (cos, -sin * height / width), (sin * width / height, cos)  # takes a point of the result to where it comes from
    rows = [torch.stack((a, b, -2 * (a * shift_x + b * shift_y)), 1) for a, b in (top, bottom)]
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    new = F.grid_sample(x, grid, mode="bilinear", padding_mode="border" if fill == "edge" else fill, align_corners=False)
    still = (rotation == 0) & (shift_x == 0) & (shift_y == 0) & (scale == 0)
    return showing(torch.where(per_image(still, x), x, new.detach()), new)  # the grid itself is off by a float's last digits


def blurred(x: Images, sigma: PerImage, widest: float) -> Images:
    """Gaussian blur, sigma in pixels (kornia's `gaussian_blur2d`); `widest` is the largest sigma there can be, and sets the window.

    Raises:
        ImageError: the window does not fit into the image.
    """
    radius = math.ceil(3 * widest)
    if radius >= min(x.shape[2:]):
        raise ImageError(f"a blur of sigma {widest:g} pixels needs images of more than {radius} pixels a side, got {_sides(x)}: lower blur")
    wide = sigma.clamp_min(SHARP)
    return gaussian_blur2d(x, (2 * radius + 1, 2 * radius + 1), torch.stack((wide, wide), 1), border_type="reflect")


def contrasted(x: Images, contrast: PerImage) -> Images:
    """Differences to the image's mean brightness stretched by a factor of 1 + contrast. Not clamped to [0, 1]."""
    grey = x.new_tensor(GREY if x.shape[1] == 3 else (1.0,)).view(1, -1, 1, 1)
    centre = (x * grey).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    return x + per_image(contrast, x) * (x - centre)


def hued(x: Images, hue: PerImage) -> Images:
    """Colours turned by an angle in degrees at the same brightness, as by the hue knob of a screen. Not clamped to [0, 1].

    A rotation of (U, V), the two differences of colour, and so linear in the pixels: HSV, the usual choice, has corners where its
    gradient jumps, and takes ten times as long. Grey stays grey: an image of one channel is given back.
    """
    if x.shape[1] == 1:
        return x
    angle = torch.deg2rad(hue)[:, None, None]
    cos, sin = (x.new_tensor(part) for part in _TURN)
    return x + torch.einsum("bij,bjhw->bihw", (angle.cos() - 1) * cos + angle.sin() * sin, x)


def saved(x: Images, levels: int = 255) -> Images:
    """x as it would be saved: on the grid of 8-bit images. The gradient passes through as if nothing were rounded."""
    return showing((x.detach() * levels).round_().clamp_(0, levels).div_(levels), x)


def showing(shown: Images, felt: Images) -> Images:
    """The values of `shown`, to the last digit, with the gradient of `felt`."""
    return shown + (felt - felt.detach()) if felt.requires_grad else shown


def _turn() -> tuple[list[list[float]], list[list[float]]]:
    """What cos - 1 and sin of the angle add to an image's colours, (3, 3) each."""
    luma = torch.tensor(GREY, dtype=torch.float64)
    red, _, blue = torch.eye(3, dtype=torch.float64)
    to = torch.stack((luma, 0.492 * (blue - luma), 0.877 * (red - luma)))
    back = torch.linalg.inv(to)
    inside = torch.diag(torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64))
    across: Tensor = torch.zeros(3, 3, dtype=torch.float64)
    across[1, 2], across[2, 1] = -1, 1
    return (back @ inside @ to).tolist(), (back @ across @ to).tolist()


_TURN = _turn()


def _sides(x: Images) -> str:
    return f"{x.shape[2]}x{x.shape[3]}"
