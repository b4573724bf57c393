"""An image saved as a small JPEG file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.draws import Draws
from robustdx.perturbations.one_by_one import as_pictures, through_jpeg
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Counts, at, require_channels, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class JPEGCompression:
    """Saved as a JPEG file that is too small (Hendrycks and Dietterich 2019). Pillow's encoder; colour at half the resolution.

    Their last three qualities, 15, 10 and 7, are not in order on every radiograph (`jpeg_compression_standard`).
    """

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = False

    quality: Counts = (25, 18, 12, 8, 5)
    """From 1, nothing but blocks, to 100, nearly the image; at each severity."""

    def __post_init__(self) -> None:
        require_tables(least=1, most=100, quality=self.quality)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        quality = int(at(severity, self.quality))
        require_channels(x, "jpeg_compression")
        return as_pictures(x, lambda picture: through_jpeg(picture, quality))
