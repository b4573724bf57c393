"""The retina out of focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import require_picture
from robustdx.perturbations.artefacts.fundus.field_of_view import field_of_view
from robustdx.perturbations.kernels import convolve, disk
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.scale import REFERENCE, scale_of
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Defocus:
    """A refractive error that the camera was not set to: each point of the retina becomes a disc.

    The disc's radius is measured in shorter sides of the image, unlike that of the corruption `defocus_blur`, and the rim of the field
    of view stays sharp, because the aperture that makes it is in focus: the blur is an average over what is seen inside it.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("fundus",)
    random: ClassVar[bool] = False

    radius: Table = (0.005, 0.009, 0.014, 0.021, 0.032)
    """Of the disc, in shorter sides of the image."""

    def __post_init__(self) -> None:
        require_tables(least=0.001, most=0.2, radius=self.radius)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "defocus")
        seen = field_of_view(x)
        kernel = disk(at(severity, self.radius) * REFERENCE, 0.3, scale_of(x))
        spread = convolve(torch.cat([x * seen, seen.to(x.dtype)], 1), [kernel], "replicate", "defocus")
        inside = spread[:, :-1] / spread[:, -1:].clamp(min=1e-3)
        return torch.where(seen > 0, inside, x).clamp(0, 1).to(x.dtype)
