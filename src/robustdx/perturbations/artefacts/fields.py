"""Smooth fields over an image, in units of its shorter side, so that they look alike at every size."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.perturbations.severity import require_channels, require_sides
from robustdx.tensors import Images

LUMA = (0.299, 0.587, 0.114)
"""What red, green and blue add to brightness (ITU-R BT.601)."""


def require_picture(x: Images, name: str) -> None:
    """Refuse images that are neither grey nor in colour, and those too small to draw on."""
    require_channels(x, name)
    require_sides(x, 8, name)


def uniforms(x: Images, draws: Draws, *shape: int) -> Tensor:
    """Uniform numbers in [0, 1) for each image: (B, *shape), float32 on the device of x."""
    return draws.uniform(0, 1, like=x.new_empty(len(x), *shape, dtype=torch.float32))


def between(low: float, high: float, u: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) as (B, 1, 1, 1) numbers in [low, high)."""
    return (low + (high - low) * u).view(-1, 1, 1, 1)


def plane(x: Images) -> tuple[Tensor, Tensor]:
    """Where pixels lie: across (1, 1, 1, W) and down (1, 1, H, 1), in units of the shorter side, 0 in the middle."""
    height, width = x.shape[2:]
    side = min(height, width)
    across = (torch.arange(width, device=x.device, dtype=torch.float32) - (width - 1) / 2) / side
    down = (torch.arange(height, device=x.device, dtype=torch.float32) - (height - 1) / 2) / side
    return across.view(1, 1, 1, -1), down.view(1, 1, -1, 1)


def step(value: Tensor) -> Tensor:
    """From 0 at 0 to 1 at 1 without a corner."""
    t = value.clamp(0, 1)
    return t * t * (3 - 2 * t)


def luma(x: Images) -> Tensor:
    """Brightness, (B, 1, H, W)."""
    return x if x.shape[1] == 1 else torch.einsum("bchw,c->bhw", x.float(), torch.tensor(LUMA, device=x.device))[:, None]


def colours(x: Images, rgb: Tensor) -> Tensor:
    """Colours (B, 3) as (B, C, 1, 1): grey images take their brightness."""
    rgb = rgb if x.shape[1] == 3 else (rgb * torch.tensor(LUMA)).sum(1, keepdim=True)
    return rgb.to(x.device).view(len(rgb), -1, 1, 1)


def smooth(x: Images, draws: Draws, cells: int) -> Tensor:
    """A smooth random field, (B, 1, H, W): about `cells` hills and valleys along a side, mean 0 and deviation 1."""
    seeds = draws.normal(like=x.new_empty(len(x), 1, cells + 2, cells + 2, dtype=torch.float32))
    field = F.interpolate(seeds, size=x.shape[2:], mode="bicubic", align_corners=True)
    field = field - field.mean((2, 3), keepdim=True)
    return field / field.square().mean((2, 3), keepdim=True).sqrt().clamp(min=1e-6)


def grain(x: Images, draws: Draws, side: int) -> Tensor:
    """Noise of deviation 1 on a sensor whose shorter side has `side` pixels, seen at the size of x: (B, 1, H, W)."""
    height, width = x.shape[2:]
    factor = side / min(height, width)
    noise = draws.normal(like=x.new_empty(len(x), 1, max(1, round(height * factor)), max(1, round(width * factor)), dtype=torch.float32))
    return F.interpolate(noise, size=(height, width), mode="bilinear", align_corners=False, antialias=True)


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur with a deviation of `sigma` shorter sides; a wide one is made on a smaller image."""
    pixels = sigma * min(x.shape[2:])
    factor = int(pixels // 3)
    if factor > 1:
        small = F.interpolate(x, size=[math.ceil(n / factor) for n in x.shape[2:]], mode="area")
        return F.interpolate(_blur(small, pixels / factor), size=x.shape[2:], mode="bilinear", align_corners=False)
    return _blur(x, pixels)


def _blur(x: Tensor, pixels: float) -> Tensor:
    """First across, then down; the border is repeated. Shifted images are added: ten times as fast here as convolution."""
    reach = math.ceil(3 * pixels)
    taps = [math.exp(-0.5 * (k / max(pixels, 1e-6)) ** 2) for k in range(-reach, reach + 1)]
    for axis, pad in ((3, (reach, reach, 0, 0)), (2, (0, 0, reach, reach))):
        wide, size = F.pad(x, pad, mode="replicate"), x.shape[axis]
        x = torch.zeros_like(x)
        for k, tap in enumerate(taps):
            x.add_(wide.narrow(axis, k, size), alpha=tap / sum(taps))
    return x
