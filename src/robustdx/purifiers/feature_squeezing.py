"""Feature squeezing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.purifiers.bit_depth import BitDepth
from robustdx.purifiers.chain import Chain
from robustdx.purifiers.median import Median
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class FeatureSqueezing:
    """Fewer shades, then the median of each window (Xu et al. 2018, section III).

    The same as a chain of `bit-depth` and `median`. Xu et al. compare the network's answers with and without, to detect; here the
    squeezed image is what the network sees. Rounding has no gradient: attack it through `StraightThrough`.
    """

    differentiable: ClassVar[bool] = False
    random: ClassVar[bool] = False

    levels: int = 32
    """Shades of each channel; Xu et al. take 5 bits, 32 shades, for photographs."""
    size: int = 3
    """Side of the median's window, an odd number of pixels."""

    def __post_init__(self) -> None:
        self.chain()

    @torch.no_grad()
    def __call__(self, x: Images, draws: Draws) -> Images:
        return self.chain()(x, draws)

    def chain(self) -> Chain:
        """What it is made of."""
        return Chain(members=(BitDepth(levels=self.levels), Median(size=self.size)))
