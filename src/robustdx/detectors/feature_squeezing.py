"""How much the answer changes when there is less in the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch

from robustdx.detectors import squeezers
from robustdx.draws import Draws
from robustdx.errors import ImageError, PlanError
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, PerImage


@final
@dataclass(frozen=True, kw_only=True)
class FeatureSqueezing:
    """Largest change of the probabilities, in L1, when an image is squeezed (Xu et al. 2018, section V).

        score = max over squeezers of |p(x) - p(squeeze(x))|_1

    The squeezers are fewer colours, a median and non-local means, each left out where its setting is 0. Their strengths are those that
    Xu et al. take for ImageNet. Differentiable; rounding is taken for the identity on the way back. Cost: one pass of the model, and one
    for each squeezer. It learns nothing.
    """

    bits: int = 5
    """Bits that a colour keeps; 0: this squeezer is left out."""
    median: int = 2
    """Height and width of the window of the median; 0: left out."""
    search: int = 11
    """Height and width of the region in which non-local means looks for alike pixels; 0: left out. Its time grows with the square."""
    patch: int = 3
    """Height and width of the patches that it compares, an odd number."""
    strength: float = 4 / 255
    """Difference of two patches, in pixel units, up to which they count as alike."""

    def __post_init__(self) -> None:
        if not 0 <= self.bits <= 8 or min(self.median, self.search) < 0 or self.patch < 1:
            raise PlanError(f"bits must lie in 0 to 8 and sides be at least 0, got {self.bits}, {self.median}, {self.search}, {self.patch}")
        if (self.search and self.search % 2 == 0) or self.patch % 2 == 0 or not self.strength > 0:
            raise PlanError(f"search and patch must be odd and strength above 0, got {self.search}, {self.patch} and {self.strength:g}")
        if not (self.bits or self.median or self.search):
            raise PlanError("expected at least one squeezer, got none: give bits, median or search")

    @property
    def passes(self) -> int:
        return 1 + sum(1 for on in (self.bits, self.median, self.search) if on)

    def __call__(self, model: DiagnosticModel, x: Images, draws: Draws) -> PerImage:
        """
        Raises:
            ImageError: an image smaller than a squeezer's reach.
        """
        if min(x.shape[2:]) <= max(self.median, self.search) // 2:
            wanted = max(self.median, self.search)
            raise ImageError(f"feature squeezing looks at {wanted} x {wanted} pixels, got images of {tuple(x.shape[2:])}: squeeze less")
        whole = model.task.probabilities(model(x, draws))
        apart = [(model.task.probabilities(model(squeezed, draws)) - whole).abs().sum(1) for squeezed in self.squeezed(x)]
        return torch.stack(apart).amax(0)

    def squeezed(self, x: Images) -> Iterator[Images]:
        """The image as each squeezer leaves it."""
        if self.bits:
            yield squeezers.fewer_bits(x, self.bits)
        if self.median:
            yield squeezers.median(x, self.median)
        if self.search:
            yield squeezers.alike(x, self.search, self.patch, self.strength)
