"""Total variation minimisation of an image of which only some pixels are believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.purifiers.refusals import require_above_zero, require_at_least
from robustdx.tensors import Images

TAU, SIGMA = 0.25, 0.5
"""Primal and dual steps: their product times 8, the squared norm of the differences, is 1 (Chambolle & Pock 2011)."""

AROUND = 5
"""Side of the window whose kept pixels stand in for a dropped one at the start."""


@final
@dataclass(frozen=True, kw_only=True)
class TotalVariation:
    """The smoothest image that agrees with a random part of the pixels (TVM of Guo et al. 2018, section 3.2).

        z = argmin  1/2 sum_kept (z - x)^2 + weight * sum_pixels |grad z|

    Where it differs from the paper: the distance to x is squared and |grad z| is the length of a pixel's two differences, each
    channel by itself, so that primal-dual steps (Chambolle & Pock 2011) solve it, a batch at a time; a pixel is kept or dropped with all
    its channels. Dropped pixels are never looked at: the search starts at the mean of the kept ones around them.

    Differentiable, by going back through all steps. Memory with a gradient: about 10 times the batch for each step.
    """

    differentiable: ClassVar[bool] = True
    random: ClassVar[bool] = True

    weight: float = 0.03
    """How much smoothness counts against likeness; more smooths more. The paper's 0.03 belongs to its own distance."""
    drop: float = 0.5
    """The part of the pixels that is dropped, each by its own draw; Guo et al. take 0.5. With 0, nothing is random."""
    steps: int = 50
    """Primal-dual steps; each costs a few passes over the batch."""

    def __post_init__(self) -> None:
        require_above_zero(weight=self.weight)
        require_at_least(1, steps=self.steps)
        if not 0 <= self.drop < 1:
            raise PlanError(f"drop must lie in [0, 1), got {self.drop:g}: some pixels have to be kept")

    def __call__(self, x: Images, draws: Draws) -> Images:
        kept = (draws.uniform(0, 1, like=x[:, :1].detach()) >= self.drop).to(x.dtype)
        z = ahead = _filled(x, kept)
        p = torch.zeros(2, *x.shape, dtype=x.dtype, device=x.device)
        for _ in range(self.steps):
            p = _at_most(self.weight, p + SIGMA * _gradient(ahead))
            before, z = z, (z + TAU * (_divergence(p) + kept * x)) / (1 + TAU * kept)
            ahead = 2 * z - before
        return z.clamp(0, 1)


def _filled(x: Images, kept: Tensor) -> Images:
    """x where it is kept, and else the mean of what is kept around (grey where nothing is)."""
    share = F.avg_pool2d(kept, AROUND, stride=1, padding=AROUND // 2)
    mean = F.avg_pool2d(x * kept, AROUND, stride=1, padding=AROUND // 2) / share.clamp_min(1e-6)
    return torch.where(kept > 0, x, torch.where(share > 0, mean, 0.5))


def _gradient(z: Images) -> Tensor:
    """Differences to the next row and to the next column, (2, B, C, H, W); 0 at the last."""
    return torch.stack((F.pad(z.diff(dim=2), (0, 0, 0, 1)), F.pad(z.diff(dim=3), (0, 1))))


def _divergence(p: Tensor) -> Images:
    """The negative transpose of the differences."""
    down, right = p[0, :, :, :-1], p[1, :, :, :, :-1]
    return F.pad(down, (0, 0, 0, 1)) - F.pad(down, (0, 0, 1, 0)) + F.pad(right, (0, 1)) - F.pad(right, (1, 0))


def _at_most(length: float, p: Tensor) -> Tensor:
    """Arrows no longer than `length`, the direction kept."""
    return p / (torch.linalg.vector_norm(p, dim=0) / length).clamp_min(1)
