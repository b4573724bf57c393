"""Networks that paint a perturbation: images (B, C, H, W) in [0, 1] go in, (B, C, H, W) in (-1, 1) come out, at any size.

Both have batch normalisation, a module of its own at each place, and no state that changes in eval mode: the perturbation of an
image is then the same whatever stands beside it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustdx.tensors import Images

Kind = Literal["unet", "residual"]


def generator(kind: Kind, channels: int, width: int) -> nn.Module:
    """A generator with its first weights: convolutions N(0, 0.02), norms N(1, 0.02), as Xu et al. 2021 (code) draw them."""
    return (UNet if kind == "unet" else Residual)(channels, width).apply(_drawn)


@final
class UNet(nn.Module):
    """The U-Net of Xu et al. 2021 (code, `UnetGenerator`), which halves the image six times; after Poursaeed et al. 2018.

    Any size: each step up is told the size of the step down that it answers, so an odd side (299 -> 149 -> 74 -> 37 -> 18 -> 9 -> 5)
    comes back as it was, where the released code needs other kernels for 299. Sides below 64 are extended by their last
    row or column, and cut off again. Its norms are its own: the released code shares one module between up to four places.
    """

    SMALLEST = 64
    """The innermost two layers see 2x2 pixels there; less, and batch normalisation has nothing to average over."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        down = [channels, *(width * k for k in (1, 2, 4, 8, 8, 8))]
        up = [*(width * k for k in (8, 8, 4, 2, 1)), channels]
        last = len(up) - 1
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4 if i < last else 3, 2, 1) for i, (a, b) in enumerate(pairwise(down)))
        self.down_norm = nn.ModuleList(nn.BatchNorm2d(b) if 0 < i < last else nn.Identity() for i, b in enumerate(down[1:]))
        into = [down[-1], *(a + b for a, b in zip(up[:-1], down[-2:0:-1], strict=True))]
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 3 if i == 0 else 4, 2, 1) for i, (a, b) in enumerate(zip(into, up, strict=True)))
        self.up_norm = nn.ModuleList(nn.BatchNorm2d(b) if i < last else nn.Identity() for i, b in enumerate(up))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Images) -> Tensor:
        h, sides = _signed(x, self.SMALLEST), x.shape[2:]
        skips = []
        for i, (conv, norm) in enumerate(zip(self.down, self.down_norm, strict=True)):
            skips.append(h)
            h = norm(conv(h if i == 0 else F.leaky_relu(h, 0.2)))
        for i, (conv, norm) in enumerate(zip(self.up, self.up_norm, strict=True)):
            skip = skips.pop()
            h = norm(conv(F.relu(h), output_size=skip.shape[2:]))
            h = self.dropout(h) if i == 0 else h
            h = torch.cat((h, skip), 1) if skips else h
        return torch.tanh(h[:, :, : sides[0], : sides[1]])


@final
class Residual(nn.Module):
    """Two steps down, six residual blocks, two steps up: the generator of Johnson et al. 2016, which Poursaeed et al. 2018 use.

    Any size, in the same way as the U-Net; sides below 16 are extended.
    """

    SMALLEST = 16
    BLOCKS = 6

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, width, 7, 1, 3, padding_mode="reflect"), nn.BatchNorm2d(width), nn.ReLU())
        self.down = nn.ModuleList(_halved(width * k) for k in (1, 2))
        self.blocks = nn.ModuleList(_block(4 * width) for _ in range(self.BLOCKS))
        self.up = nn.ModuleList(nn.ConvTranspose2d(width * k, width * k // 2, 3, 2, 1) for k in (4, 2))
        self.up_norm = nn.ModuleList(nn.BatchNorm2d(width * k // 2) for k in (4, 2))
        self.last = nn.Conv2d(width, channels, 7, 1, 3, padding_mode="reflect")

    def forward(self, x: Images) -> Tensor:
        h, sides = self.first(_signed(x, self.SMALLEST)), x.shape[2:]
        sizes = []
        for down in self.down:
            sizes.append(h.shape[2:])
            h = down(h)
        for block in self.blocks:
            h = h + block(h)
        for up, norm in zip(self.up, self.up_norm, strict=True):
            h = F.relu(norm(up(h, output_size=sizes.pop())))
        return torch.tanh(self.last(h)[:, :, : sides[0], : sides[1]])


def _halved(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU())


def _block(width: int) -> nn.Sequential:
    first, second = (nn.Conv2d(width, width, 3, 1, 1, padding_mode="reflect") for _ in range(2))
    return nn.Sequential(first, nn.BatchNorm2d(width), nn.ReLU(), second, nn.BatchNorm2d(width))


def _signed(x: Images, smallest: int) -> Tensor:
    """Pixels in [-1, 1], with sides of at least `smallest`."""
    below, beside = (max(0, smallest - side) for side in x.shape[2:])
    return F.pad(2 * x - 1, (0, beside, 0, below), mode="replicate")


def _drawn(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, 0.02)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1, 0.02)
        nn.init.zeros_(module.bias)
