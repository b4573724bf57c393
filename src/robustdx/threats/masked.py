"""A threat to one region of each image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self, final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import PIXEL_SLACK, Images, PerImage, linf_norm, per_image
from robustdx.threats.protocol import Threat

Side = Literal["inside", "outside"]

TINY = 1e-12


def everywhere(threat: Threat) -> Threat:
    """The threat without its regions: the norm that it measures by."""
    return everywhere(threat.threat) if isinstance(threat, Masked) else threat


@final
@dataclass(frozen=True, eq=False)
class Masked:
    """Images of another threat that differ from x only inside (or only outside) a region, such as the lesion.

    The region belongs to the images of one batch, in their order: an attack that goes on with some of them takes theirs along,
    `threat.take(front.at)`.
    """

    threat: Threat
    """What may be done inside the region."""
    region: Tensor
    """(B, 1, H, W), 1 (or True) inside the region and 0 outside; (1, 1, H, W) is the same region for every image."""
    side: Side = "inside"
    """Where the adversary may change pixels: "inside" or "outside" of the region."""

    def __post_init__(self) -> None:
        if self.side not in ("inside", "outside"):
            raise PlanError(f'expected the side "inside" or "outside", got {self.side!r}')
        if self.region.dim() != 4 or self.region.shape[1] != 1:
            raise PlanError(f"expected a region of shape (B, 1, H, W), one mask for each image, got {tuple(self.region.shape)}")
        if not bool(((self.region == 0) | (self.region == 1)).all()):
            raise PlanError("expected a region of 0 and 1, got other values: compare the mask with a threshold, as in mask > 0.5")

    @property
    def eps(self) -> float:
        return self.threat.eps

    @property
    def levels(self) -> int:
        return self.threat.levels

    @property
    def travel(self) -> float:
        return self.threat.travel

    @property
    def savable(self) -> bool:
        return self.threat.savable

    def take(self, index: Tensor) -> Self:
        region = self.region if len(self.region) == 1 else self.region[index.to(self.region.device)]
        return replace(self, threat=self.threat.take(index), region=region)

    def project(self, x_adv: Images, x: Images) -> Images:
        open_ = self._open(x)
        return torch.where(open_, self.threat.project(torch.where(open_, x_adv, x), x), x)

    def steepest(self, grad: Images) -> Images:
        return self.threat.steepest(torch.where(self._open(grad), grad, 0.0))

    def sample(self, x: Images, draws: Draws) -> Images:
        """A random member, as far from x as one that may differ everywhere."""
        free = self.threat.sample(x, draws)
        kept = torch.where(self._open(x), free, x)
        stretch = self.threat.distance(free, x) / self.threat.distance(kept, x).clamp_min(TINY)
        return self.project(x + (kept - x) * per_image(stretch, x), x)

    def distance(self, x_adv: Images, x: Images) -> PerImage:
        """In the units of eps; infinite where a pixel has changed that may not."""
        touched = linf_norm(torch.where(self._open(x), 0.0, x_adv - x)) > PIXEL_SLACK
        return torch.where(touched, torch.inf, self.threat.distance(x_adv, x))

    def snap(self, x_adv: Images, x: Images) -> Images:
        return self.threat.snap(torch.where(self._open(x), x_adv, x), x)

    def _open(self, like: Images) -> Tensor:
        """Where pixels may change, (B, 1, H, W)."""
        if len(self.region) not in (1, len(like)) or self.region.shape[2:] != like.shape[2:]:
            height, width = self.region.shape[2:]
            raise PlanError(
                f"the mask does not fit: it has {len(self.region)} regions of {height}x{width}, "
                f"the images are {len(like)} of {like.shape[2]}x{like.shape[3]}: give one region of their size for each image"
            )
        inside = self.region.to(like.device).bool()
        return inside if self.side == "inside" else ~inside
