"""An image enlarged from too few pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from PIL import Image

from robustdx.draws import Draws
from robustdx.perturbations.one_by_one import as_pictures
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_channels, require_sides, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Pixelate:
    """Enlarged from too few pixels (Hendrycks and Dietterich 2019): averaged to a smaller image, each pixel repeated. Pillow's resize."""

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = False

    kept: Table = (0.6, 0.5, 0.4, 0.3, 0.25)
    """How long the sides of the smaller image are at each severity, as a fraction."""

    def __post_init__(self) -> None:
        require_tables(least=0.001, most=1, kept=self.kept)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        kept = at(severity, self.kept)
        require_channels(x, "pixelate")
        require_sides(x, int(1 / min(self.kept)) + 1, "pixelate")
        size = (x.shape[3], x.shape[2])
        small = (int(size[0] * kept), int(size[1] * kept))
        return as_pictures(x, lambda p: p.resize(small, Image.Resampling.BOX).resize(size, Image.Resampling.NEAREST))
