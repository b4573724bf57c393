"""An image seen through fog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.draws import Draws
from robustdx.perturbations.plasma import plasma
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.scale import fitted, sides_in_tables
from robustdx.perturbations.severity import Table, at, require_channels, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Fog:
    """Fog, or a lens that is misted (Hendrycks and Dietterich 2019): (x + thickness f) m / (m + thickness).

    The clouds f in [0, 1] are a plasma fractal by diamonds and squares, m is the image's maximum. An image has the same clouds at all
    severities. Their fog is as thick at severity 4 as at 3, with more detail, which not every image takes for worse (`fog_standard`).
    """

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = True

    thickness: Table = (1.5, 2, 2.5, 2.8, 3.2)
    """How strong the fog is beside the image, at each severity."""
    decay: Table = (2, 2, 1.7, 1.5, 1.4)
    """By how much small clouds are fainter than those twice their size: the lower, the more detail."""

    def __post_init__(self) -> None:
        require_tables(least=0, thickness=self.thickness)
        require_tables(least=1, decay=self.decay)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        thickness, decay = at(severity, self.thickness), at(severity, self.decay)
        require_channels(x, "fog")
        rows, columns = sides_in_tables(x)
        side = 1 << (max(rows, columns) - 1).bit_length()
        clouds = plasma(draws.uniform(-1, 1, like=x.new_empty(len(x), side, side)), decay)[:, None, :rows, :columns]
        most = x.amax((1, 2, 3), keepdim=True)
        return ((x + thickness * fitted(clouds, x)) * (most / (most + thickness))).clamp_(0, 1)
