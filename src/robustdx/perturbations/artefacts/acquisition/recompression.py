"""An image saved as JPEG, and saved again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from PIL import Image

from robustdx.draws import Draws
from robustdx.perturbations.one_by_one import as_pictures, through_jpeg
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Counts, at, require_channels, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Recompression:
    """Saved as JPEG and saved again, as by an archive and then a messenger (own): two sets of blocks, half a block apart.

    Pillow's encoder; colour at half the resolution. Unlike `jpeg_compression`, qualities are those in everyday use.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = False

    quality: Counts = (75, 60, 45, 30, 18)
    """From 1, nothing but blocks, to 100, nearly the image; at each severity, both times."""

    def __post_init__(self) -> None:
        require_tables(least=1, most=100, quality=self.quality)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        quality = int(at(severity, self.quality))
        require_channels(x, "recompression")
        return as_pictures(x, lambda picture: twice(picture, quality))


def twice(picture: Image.Image, quality: int) -> Image.Image:
    """Saved, laid half a block to the right and down, and saved again."""
    once = through_jpeg(picture, quality)
    wide = np.pad(np.asarray(once), [(4, 4), (4, 4), (0, 0)][: len(once.getbands()) // 3 + 2], mode="edge")
    moved = through_jpeg(Image.fromarray(wide), quality)
    return moved.crop((4, 4, 4 + once.width, 4 + once.height))
