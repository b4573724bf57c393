"""The network of the purifiers that learn."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustdx.tensors import Images

DEEP = 3
"""Levels, each with half the side and twice the channels of the one above."""


@final
class UNet(nn.Module):
    """A small U-Net of residual blocks (after Ronneberger et al. 2015; Ho et al. 2020, appendix B): images in, as many channels out.

    Any size: sides are extended by their last row or column to a multiple of 4, and cut off again. Group normalisation, so that
    an image's answer does not depend on what stands beside it. With `timed`, it is told the time of each image, in [0, 1].
    """

    def __init__(self, channels: int, width: int, timed: bool) -> None:
        super().__init__()
        wide = [width * 2**k for k in range(DEEP)]
        told = 4 * width if timed else 0
        self.clock = nn.Sequential(nn.Linear(2 * width, told), nn.SiLU(), nn.Linear(told, told)) if timed else None
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(Block(wide[max(k - 1, 0)], wide[k], told) for k in range(DEEP))
        self.middle = Block(wide[-1], wide[-1], told)
        self.up = nn.ModuleList(Block(wide[k] + wide[min(k + 1, DEEP - 1)], wide[k], told) for k in reversed(range(DEEP)))
        last = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(last.weight)  # it begins by answering its bias
        self.last = nn.Sequential(_norm(width), nn.SiLU(), last)

    def forward(self, x: Images, time: Tensor | None = None) -> Tensor:
        height, width = x.shape[2:]
        whole = 2 ** (DEEP - 1)
        h = self.first(F.pad(x, (0, -width % whole, 0, -height % whole), mode="replicate"))
        told = self.clock(_waves(time, self.first.out_channels)) if self.clock is not None and time is not None else None
        skips = []
        for k, block in enumerate(self.down):
            h = block(h if k == 0 else F.avg_pool2d(h, 2), told)
            skips.append(h)
        h = self.middle(h, told)
        for k, block in enumerate(self.up):
            h = block(torch.cat((h if k == 0 else F.interpolate(h, scale_factor=2.0, mode="nearest"), skips.pop()), 1), told)
        return self.last(h)[:, :, :height, :width]


@final
class Block(nn.Module):
    """Two convolutions beside a shortcut; what is told of the time is added between them."""

    def __init__(self, into: int, out: int, told: int) -> None:
        super().__init__()
        self.one = nn.Sequential(_norm(into), nn.SiLU(), nn.Conv2d(into, out, 3, padding=1))
        self.told = nn.Linear(told, out) if told else None
        self.two = nn.Sequential(_norm(out), nn.SiLU(), nn.Conv2d(out, out, 3, padding=1))
        self.beside = nn.Identity() if into == out else nn.Conv2d(into, out, 1)

    def forward(self, x: Tensor, told: Tensor | None) -> Tensor:
        h = self.one(x)
        if self.told is not None and told is not None:
            h = h + self.told(F.silu(told))[:, :, None, None]
        return self.beside(x) + self.two(h)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(channels, 8), channels)


def _waves(time: Tensor, width: int) -> Tensor:
    """Times (B,) as sines and cosines of `width` frequencies, (B, 2 * width)."""
    angles = 1000 * time[:, None] * torch.exp(-math.log(10_000) * torch.arange(width, device=time.device, dtype=time.dtype) / width)
    return torch.cat((angles.sin(), angles.cos()), 1)
