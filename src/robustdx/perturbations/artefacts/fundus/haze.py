"""A clouded lens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import between, blur, colours, require_picture, smooth, uniforms
from robustdx.perturbations.artefacts.fundus.field_of_view import field_of_view
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images

CATARACT = torch.tensor([[1.12, 1.05, 0.75]])
"""The tint of a clouded lens: grey-yellow."""


@final
@dataclass(frozen=True, kw_only=True)
class Haze:
    """A cataract between camera and retina: veiled, yellowish, soft.

    What is seen is (1 - t) of the retina, itself a little blurred, and t of the light scattered back by the lens, which has the mean
    colour of the retina turned towards grey-yellow. Where the lens is cloudier, t is larger. The clouds are drawn once and t grows.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("fundus",)
    random: ClassVar[bool] = True

    veil: Table = (0.14, 0.27, 0.41, 0.56, 0.71)
    """The mean t."""
    softness: Table = (0.001, 0.0018, 0.0028, 0.004, 0.0055)
    """Deviation of the blur, in shorter sides of the image."""

    def __post_init__(self) -> None:
        require_tables(least=0, most=1, veil=self.veil)
        require_tables(least=0, most=0.1, softness=self.softness)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "haze")
        seen = field_of_view(x)
        clouds = 1 + 0.15 * smooth(x, draws.fork("clouds"), 3).clamp(-2, 2)
        t = (at(severity, self.veil) * clouds).clamp(0, 0.95) * seen
        mean = (x * seen).sum((2, 3), keepdim=True) / seen.sum((2, 3), keepdim=True).clamp(min=1)
        grey = mean.mean(1, keepdim=True) * between(1.05, 1.35, uniforms(x, draws.fork("lens"), 1)[:, 0])
        lens = 0.6 * mean + 0.4 * grey * colours(x, CATARACT)
        weight = blur(seen, at(severity, self.softness)).clamp(min=1e-3)
        retina = torch.where(seen > 0, blur(x.float() * seen, at(severity, self.softness)) / weight, x.float())
        return ((1 - t) * retina + t * lens).clamp(0, 1).to(x.dtype)
