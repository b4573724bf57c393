"""The wrong dose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import grain, require_picture, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Exposure:
    """Too little dose, or too much: the curve of grey values bends, and too little shows as quantum noise.

    Pixels are raised to a power, over 1 (darker, overexposed) or under 1 (paler, underexposed), drawn for each image. Noise is that of
    counted quanta behind a logarithm: where the image is bright few quanta came through, so its deviation grows as exp(1.1 (x - 1/2)).
    An overexposed image has a third of the noise. Grain belongs to a detector of 256 pixels and is averaged down with the image.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("x-ray",)
    random: ClassVar[bool] = True

    bend: Table = (0.12, 0.24, 0.38, 0.55, 0.75)
    """The power's logarithm, in either direction."""
    noise: Table = (0.012, 0.022, 0.036, 0.056, 0.085)
    """Deviation of the quantum noise at middle grey of an underexposed image."""

    def __post_init__(self) -> None:
        require_tables(least=0, bend=self.bend, noise=self.noise)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "exposure")
        over = (uniforms(x, draws.fork("dose"), 1, 1, 1) < 0.5).float()
        power = torch.exp(at(severity, self.bend) * (2 * over - 1))
        shown = x.float().clamp(min=1e-6) ** power
        quanta = at(severity, self.noise) * (1 - 0.67 * over) * torch.exp(1.1 * (x - 0.5))
        return (shown + quanta * grain(x, draws.fork("quanta"), 256)).clamp(0, 1).to(x.dtype)
