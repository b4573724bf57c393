"""Fakes that hide behind chance, none of it from `Draws`: what they answer cannot be asked again."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import final

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from robustdx.draws import Draws
from robustdx.models import Defended, DiagnosticModel
from robustdx.selftest.planted import rewired, tied
from robustdx.tensors import Images


def resize_pad(model: DiagnosticModel) -> DiagnosticModel:
    """Shrunk by chance, put somewhere on a grey ground."""
    return Defended(model, ResizePad())


def hashed_seed(model: DiagnosticModel) -> DiagnosticModel:
    """Dither whose seed is a hash of the image."""
    return Defended(model, HashedDither())


def logit_noise(model: DiagnosticModel) -> DiagnosticModel:
    """Noise on the answer that is new for each call, and steep in the pixels."""
    return rewired(model, LogitNoise(model.network))


@final
@dataclass(frozen=True, kw_only=True)
class ResizePad:
    """Pillow shrinks the image to a random size and it lands at a random place (Xie et al. 2018, back to the input size)."""

    smallest: float = 0.85
    """The smallest size, as a share of the image's."""
    ground: float = 0.5
    """What surrounds it."""

    def __call__(self, x: Images, draws: Draws) -> Images:
        return tied(torch.stack([self._one(image) for image in x.detach().cpu()]).to(x), x)

    def _one(self, image: Tensor) -> Tensor:
        height, width = image.shape[1:]
        h, w = (int(torch.randint(int(side * self.smallest), side + 1, ())) for side in (height, width))
        top, left = int(torch.randint(0, height - h + 1, ())), int(torch.randint(0, width - w + 1, ()))
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        small = np.array(Image.fromarray(pixels).resize((w, h), Image.Resampling.BILINEAR))
        out = torch.full_like(image, self.ground)
        out[:, top : top + h, left : left + w] = torch.from_numpy(small).permute(2, 0, 1) / 255
        return out


@final
@dataclass(frozen=True, kw_only=True)
class HashedDither:
    """Rounds to a few levels after noise whose seed is a hash of the pixels: the smallest change deals all noise anew."""

    levels: int = 8
    """Levels that are left."""

    def __call__(self, x: Images, draws: Draws) -> Images:
        noise = torch.stack([self._noise(image) for image in x.detach().cpu()]).to(x)
        return tied(((x * (self.levels - 1) + noise).floor() / (self.levels - 1)).clamp(0, 1), x)

    def _noise(self, image: Tensor) -> Tensor:
        seed = blake2b((image * 255).round().byte().numpy().tobytes(), digest_size=8).digest()
        drawn = np.random.default_rng(int.from_bytes(seed, "little")).random(tuple(image.shape), dtype=np.float32)
        return torch.from_numpy(drawn)


@final
class LogitNoise(nn.Module):
    """Adds `size * sin(<w, x>)` to each logit, w drawn from the global generator in each call: its slope drowns the network's."""

    def __init__(self, network: nn.Module, size: float = 0.3, slope: float = 30.0) -> None:
        super().__init__()
        self.network, self.size, self.slope = network, size, slope

    def forward(self, x: Tensor) -> Tensor:
        logits = self.network(x)
        w = torch.randn(len(x), logits.shape[1], x[0].numel()).to(x) * self.slope
        return logits + self.size * torch.einsum("bki,bi->bk", w, x.flatten(1)).sin()
