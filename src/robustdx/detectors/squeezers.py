"""Images with less in them: fewer colours, a median, a mean over alike surroundings; all with a gradient."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from robustdx.tensors import Images


def fewer_bits(x: Images, bits: int) -> Images:
    """Colours rounded to 2^bits values on the way forward; on the way back the identity, for rounding has no slope."""
    levels = 2**bits - 1
    return x + ((x * levels).round() / levels - x).detach()


def median(x: Images, side: int) -> Images:
    """The median of the side x side pixels around each (of an even number, the lower one); the border is mirrored."""
    before, after = (side - 1) // 2, side // 2
    padded = F.pad(x, (before, after, before, after), mode="reflect")
    windows = padded.unfold(2, side, 1).unfold(3, side, 1).flatten(4)
    return windows.median(4).values


def alike(x: Images, search: int, patch: int, strength: float) -> Images:
    """Non-local means (Buades et al. 2005): the mean of the search x search pixels around each, the more the more their patches are alike.

    Weights are exp(-d / strength^2), d the mean squared difference of two patches. Cost: search^2 box filters.
    """
    reach, half = search // 2, patch // 2
    height, width = x.shape[2:]
    padded = F.pad(x, (reach,) * 4, mode="reflect")
    total, weights = torch.zeros_like(x), torch.zeros_like(x[:, :1])
    for down in range(search):
        for right in range(search):
            other = padded[:, :, down : down + height, right : right + width]
            apart = (other - x).square().mean(1, keepdim=True)
            apart = F.avg_pool2d(apart, patch, stride=1, padding=half, count_include_pad=False)
            weight = (-apart / strength**2).exp()
            total, weights = total + weight * other, weights + weight
    return (total / weights).clamp(0, 1)
