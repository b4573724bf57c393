"""An image that is too bright."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_channels, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Brightness:
    """Too bright, hue and saturation unchanged (Hendrycks and Dietterich 2019): V + amount in HSV, cut off at white.

    In HSV, V is the largest channel; raising it alone multiplies the pixel, and turns black grey. Grey images: x + amount.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = False

    amount: Table = (0.1, 0.2, 0.3, 0.4, 0.5)
    """What is added at each severity, where white is 1; below 0: darker."""

    def __post_init__(self) -> None:
        require_tables(least=-1, most=1, amount=self.amount)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_channels(x, "brightness")
        value = x.amax(1, keepdim=True)
        raised = (value + at(severity, self.amount)).clamp(0, 1)
        return torch.where(value > 0, x * (raised / value.clamp_min(1e-12)), raised).clamp_(0, 1)
