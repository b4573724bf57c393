"""Fakes that write the image in another way, and lose the gradient while doing so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO
from typing import final

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from robustdx.draws import Draws
from robustdx.models import Defended, DiagnosticModel
from robustdx.selftest.planted import rewired, tied
from robustdx.tensors import Images


def bit_depth(model: DiagnosticModel) -> DiagnosticModel:
    """Three bits for each colour."""
    return Defended(model, BitDepth())


def jpeg(model: DiagnosticModel) -> DiagnosticModel:
    """Written to JPEG by Pillow and read again."""
    return Defended(model, PillowJpeg())


def lookup(model: DiagnosticModel) -> DiagnosticModel:
    """Every pixel looked up in a table of tones."""
    return Defended(model, ToneTable())


def steep(model: DiagnosticModel) -> DiagnosticModel:
    """A wave too small to be seen and too steep to be followed."""
    return Defended(model, SteepWave())


def thermometer(model: DiagnosticModel) -> DiagnosticModel:
    """The first layer reads a thermometer code."""
    return rewired(model, Thermometer(model.network))


@final
@dataclass(frozen=True, kw_only=True)
class BitDepth:
    """Rounds to a few levels; the slope of a staircase is 0."""

    levels: int = 8
    """Levels that are left."""

    def __call__(self, x: Images, draws: Draws) -> Images:
        return (x * (self.levels - 1)).round() / (self.levels - 1)


@final
@dataclass(frozen=True, kw_only=True)
class PillowJpeg:
    """A round trip through Pillow, which autograd does not see."""

    quality: int = 60
    """JPEG's quality, 1 to 95."""

    def __call__(self, x: Images, draws: Draws) -> Images:
        return tied(torch.stack([self._one(image) for image in x.detach().cpu()]).to(x), x)

    def _one(self, image: Tensor) -> Tensor:
        file = BytesIO()
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(file, "JPEG", quality=self.quality, subsampling=0)
        with Image.open(file) as read:
            return torch.from_numpy(np.array(read)).permute(2, 0, 1) / 255


@final
@dataclass(frozen=True, kw_only=True)
class ToneTable:
    """An S-shaped tone curve in steps, as a table over the 256 values of a pixel: to look up is no slope."""

    steps: int = 24
    """Different tones in the table."""

    def __call__(self, x: Images, draws: Draws) -> Images:
        tone = torch.linspace(0, 1, 256)
        table = ((tone - 0.04 * (2 * math.pi * tone).sin()) * self.steps).round() / self.steps
        return tied(table.to(x)[(x * 255).round().long()], x)


@final
@dataclass(frozen=True, kw_only=True)
class SteepWave:
    """Adds amplitude * sin(frequency * x): hardly a change, and a slope that tells nothing but the phase."""

    amplitude: float = 2 / 255
    """In pixel units."""
    frequency: float = 2e4
    """In radians for the whole range of a pixel: amplitude times this is the slope, 157."""

    def __call__(self, x: Images, draws: Draws) -> Images:
        return (x + self.amplitude * (self.frequency * x).sin()).clamp(0, 1)


@final
class Thermometer(nn.Module):
    """Codes a pixel by the thresholds below it, and lets the first layer read the code (Buckman et al. 2018, in spirit)."""

    def __init__(self, network: nn.Module, levels: int = 16) -> None:
        super().__init__()
        self.network, self.levels = network, levels

    def forward(self, x: Tensor) -> Tensor:
        """x as it was normalised, within [-2, 2]: each lit level adds as much as it stands for."""
        step = 4 / self.levels
        code = torch.stack([(x > -2 + step * (k + 0.5)).to(x) for k in range(self.levels)])
        return self.network(tied(-2 + step * code.sum(0), x))
