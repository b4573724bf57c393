"""JPEG, as every camera and archive writes it."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import ClassVar, Literal, final

import numpy as np
import torch
from PIL import Image

from robustdx.draws import Draws
from robustdx.purifiers.one_by_one import eight_bits, from_eight_bits
from robustdx.purifiers.refusals import require_colour, require_quality
from robustdx.tensors import Images

SUBSAMPLING = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


@final
@dataclass(frozen=True, kw_only=True)
class JPEG:
    """Written as a JPEG file and read again (Dziugaite et al. 2016; Guo et al. 2018).

    Pillow's own encoder on images rounded to 8 bits. It passes no gradient back: attack it through `StraightThrough`, or through
    `jpeg-differentiable`. Cost: about the encoder's own time for each image, on the CPU.
    """

    differentiable: ClassVar[bool] = False
    random: ClassVar[bool] = False

    quality: int = 75
    """From 1, nothing but blocks, to 100, nearly the image; Guo et al. take 75."""
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = "4:2:0"
    """How much coarser colour is kept than brightness: not at all, by half across, by half both ways (the usual)."""

    def __post_init__(self) -> None:
        require_quality(self.quality)

    @torch.no_grad()
    def __call__(self, x: Images, draws: Draws) -> Images:
        require_colour(x, "jpeg")
        return from_eight_bits([self._again(picture) for picture in eight_bits(x)], x) if len(x) else x.clone()

    def _again(self, picture: np.ndarray) -> np.ndarray:
        """One picture (H, W, C), to a file in memory and back."""
        file = BytesIO()
        grey = picture.shape[2] == 1
        Image.fromarray(picture[:, :, 0] if grey else picture).save(
            file, "JPEG", quality=self.quality, subsampling=SUBSAMPLING[self.subsampling]
        )
        return np.asarray(Image.open(file))
