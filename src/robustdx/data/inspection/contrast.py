"""Images reduced to their detail, so that copies agree whatever happened to brightness, contrast and colour."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

_NOISE = 2.0
"""Grey levels below which detail counts as noise of the camera or of JPEG."""
_DARK = 0.12
"""Share of the image's own white below which a pixel is surround: the black around a lens, a scan or a film."""


def detail(grey: Tensor, sigma: float) -> Tensor:
    """How each pixel differs from its surroundings, in units of how much pixels differ there; (N, H, W), levels 0 to 255.

    `sigma` is the reach of "surroundings" in pixels: large keeps shapes, small keeps texture only.
    """
    away = grey - blur(grey, sigma)
    return away / (blur(away**2, sigma).sqrt() + _NOISE)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (N, H, W), edges repeated."""
    return _smoothing(images.shape[1], sigma) @ images @ _smoothing(images.shape[2], sigma).T


@cache
def _smoothing(side: int, sigma: float) -> Tensor:
    """The blur of one line of pixels as a matrix: on small images far faster than a convolution."""
    reach = round(3 * sigma)
    weights = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    places = (torch.arange(side)[:, None] + torch.arange(-reach, reach + 1)).clamp(0, side - 1)
    return torch.zeros(side, side).scatter_add_(1, places, (weights / weights.sum()).expand(side, -1))


def lit(grey: Tensor) -> Tensor:
    """1 where an image shows something, 0 in a black surround and 3 pixels around it; all 1 where little would be left.

    Every photograph through the same lens has the same black corners: they say nothing about what it shows.
    """
    white = grey.flatten(1).kthvalue(round(0.9 * grey[0].numel()), dim=1).values[:, None, None]
    darkest = F.max_pool2d(F.max_pool2d(-grey[:, None], (7, 1), 1, (3, 0)), (1, 7), 1, (0, 3))[:, 0].neg()
    shown = darkest > _DARK * white
    shown[shown.float().mean((1, 2)) < 0.2] = True
    return shown.float()
