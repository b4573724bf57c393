"""JPEG with a gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from kornia.enhance import jpeg_codec_differentiable

from robustdx.draws import Draws
from robustdx.purifiers.refusals import require_colour, require_quality
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class JPEGDifferentiable:
    """JPEG whose rounding has a slope: what is lost by the encoder is lost, and a gradient comes through (Shin & Song 2017; kornia).

        round(v) becomes round(v) + (v - round(v))^3

    Colour at half the size both ways (4:2:0). The gradient is that of this codec and not of a file: near `jpeg`, not equal to it. Grey
    images go through as colour without colour; any size, kornia extends it to whole blocks by its last row and column.
    """

    differentiable: ClassVar[bool] = True
    random: ClassVar[bool] = False

    quality: int = 75
    """From 1, nothing but blocks, to 100, nearly the image."""

    def __post_init__(self) -> None:
        require_quality(self.quality)

    def __call__(self, x: Images, draws: Draws) -> Images:
        require_colour(x, "jpeg-differentiable")
        quality = torch.tensor([float(self.quality)], device=x.device, dtype=x.dtype)
        pure = jpeg_codec_differentiable(x.expand(-1, 3, -1, -1), quality).clamp(0, 1)
        return pure if x.shape[1] == 3 else pure.mean(1, keepdim=True)
