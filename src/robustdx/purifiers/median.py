"""The median filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from kornia.filters import median_blur
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.purifiers.refusals import require_window
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Median:
    """Each pixel the median of its window, each channel by itself (Xu et al. 2018, section III; kornia's `median_blur`).

    Beyond the border, the last row and column go on. The gradient is exact wherever no two pixels of a window tie: it goes to the
    pixel that was taken. Xu et al. also use a window of 2x2, which shifts the image by half a pixel: not offered.
    """

    differentiable: ClassVar[bool] = True
    random: ClassVar[bool] = False

    size: int = 3
    """Side of the window, an odd number of pixels."""

    def __post_init__(self) -> None:
        require_window(size=self.size)

    def __call__(self, x: Images, draws: Draws) -> Images:
        r = self.size // 2
        wide = F.pad(x, (r, r, r, r), mode="replicate")  # kornia's own border has changed between versions
        return median_blur(wide, self.size)[:, :, r:-r, r:-r]
