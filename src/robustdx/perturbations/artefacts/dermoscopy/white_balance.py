"""The wrong colour temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import LUMA, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_colour, require_tables
from robustdx.tensors import Images

WAVELENGTHS = (0.60, 0.54, 0.45)
"""Where red, green and blue are seen, in micrometres."""
SECOND_RADIATION = 14388.0
"""Planck's second radiation constant, in micrometre kelvin."""
GAMMA = 2.2
"""Between light and pixel values: a gain g of light is a gain g ** (1 / GAMMA) of pixels."""


@final
@dataclass(frozen=True, kw_only=True)
class WhiteBalance:
    """The camera took the lamp for a warmer or a colder one than it is.

    By Wien's law a black body whose reciprocal temperature grows by m mireds loses light of wavelength w by exp(-0.014388 m / w): the
    gains of red, green and blue. They are scaled so that each image keeps its mean brightness. Warmer or colder is drawn for each image;
    a severity moves further the same way. Grey images are refused.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("dermoscopy", "fundus")
    random: ClassVar[bool] = True

    mireds: Table = (18, 36, 58, 85, 120)
    """How far the temperature is off: 10^6 / kelvin; from daylight of 6500 K to a lamp of 4000 K are 96."""

    def __post_init__(self) -> None:
        require_tables(least=0, mireds=self.mireds)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_colour(x, "white_balance")
        warm = (uniforms(x, draws.fork("lamp"), 1) < 0.5).float() * 2 - 1
        shift = torch.tensor([-SECOND_RADIATION * 1e-6 / w for w in WAVELENGTHS], device=x.device)
        gains = torch.exp(warm * at(severity, self.mireds) * (shift - shift[1]) / GAMMA)
        weights = torch.tensor(LUMA, device=x.device) * x.float().mean((2, 3))
        gains = gains * weights.sum(1, keepdim=True) / (gains * weights).sum(1, keepdim=True).clamp(min=1e-6)
        return (x * gains[:, :, None, None]).clamp(0, 1).to(x.dtype)
