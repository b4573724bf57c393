"""The coil's sensitivity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import plane, require_picture, smooth, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class BiasField:
    """Brightness that drifts smoothly over an MR slice: near to the receiving coil it is bright, far away dark.

    The image is multiplied by exp(a f), where f is a smooth field of deviation 1: a slope across the picture and slow hills. f is drawn
    once and a grows. The background stays black.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("mr",)
    random: ClassVar[bool] = True

    strength: Table = (0.12, 0.22, 0.34, 0.48, 0.65)
    """The amplitude a of the field's logarithm."""

    def __post_init__(self) -> None:
        require_tables(least=0, strength=self.strength)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "bias_field")
        slope = (uniforms(x, draws.fork("coil"), 2) - 0.5).view(-1, 2, 1, 1, 1)
        across, down = plane(x)
        field = 4 * (slope[:, 0] * across + slope[:, 1] * down) + 0.7 * smooth(x, draws.fork("hills"), 2)
        field = field - field.mean((2, 3), keepdim=True)
        field = field / field.square().mean((2, 3), keepdim=True).sqrt().clamp(min=1e-6)
        return (x * torch.exp(at(severity, self.strength) * field)).clamp(0, 1).to(x.dtype)
