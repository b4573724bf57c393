"""Pixel deflection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.purifiers.refusals import require_above_zero, require_at_least, require_sides
from robustdx.purifiers.wavelet import Wavelet
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class PixelDeflection:
    """Some pixels replaced by neighbours at random, then wavelets shrunk (Prakash et al. 2018; code).

    Each channel has its own deflected pixels, as in the released code; all are taken from the image as it came, where the code
    goes through them one after another. Without the map of what the network looks at that the paper spares, as the defence here
    knows no network: every pixel is as likely. It passes no gradient back: attack it through `StraightThrough`.
    """

    differentiable: ClassVar[bool] = False
    random: ClassVar[bool] = True

    deflections: int = 200
    """Pixels deflected in each channel; the released code takes 200 at 224 px."""
    window: int = 10
    """How far away the neighbour may lie, in rows and in columns."""
    sigma: float = 0.04
    """Standard deviation of the noise that the wavelets take away, in pixel units of [0, 1]."""

    def __post_init__(self) -> None:
        require_at_least(1, deflections=self.deflections, window=self.window)
        require_above_zero(sigma=self.sigma)

    @torch.no_grad()
    def __call__(self, x: Images, draws: Draws) -> Images:
        require_sides(x, 4, "pixel-deflection")
        return Wavelet(sigma=self.sigma)(self.deflected(x, draws), draws)

    @torch.no_grad()
    def deflected(self, x: Images, draws: Draws) -> Images:
        """The images before the wavelets: the same but for the deflected pixels."""
        where = torch.arange(x.shape[2] * x.shape[3], device=x.device).expand(*x.shape[:2], -1)
        to, source = self._drawn(x, draws)
        order = torch.arange(self.deflections, device=x.device).expand_as(to)
        last = torch.full_like(where, -1).scatter_reduce(2, to, order, "amax")  # where two meet the later stays, on every device
        source = torch.where(last < 0, where, source.gather(2, last.clamp_min(0)))
        return x.flatten(2).gather(2, source).view_as(x)

    def _drawn(self, x: Images, draws: Draws) -> tuple[Tensor, Tensor]:
        """Which pixels are replaced and by which, (B, C, deflections) positions."""
        like = x.new_empty(*x.shape[:2], self.deflections, dtype=torch.float32)
        ends = []
        for name, side in (("row", x.shape[2]), ("column", x.shape[3])):
            to = _whole(draws.fork(name).uniform(0, 1, like=like), torch.zeros_like(like), side - 1)
            low, high = (to - self.window).clamp_min(0), (to + self.window).clamp_max(side - 1)
            ends.append((to, _whole(draws.fork("from", name).uniform(0, 1, like=like), low, high)))
        (row, from_row), (column, from_column) = ends
        return (row * x.shape[3] + column).long(), (from_row * x.shape[3] + from_column).long()


def _whole(u: Tensor, low: Tensor, high: Tensor | int) -> Tensor:
    """A whole number from low to high, both among them, for u uniform in [0, 1)."""
    return (low + (u * (high - low + 1)).floor()).minimum(torch.as_tensor(high, device=u.device, dtype=u.dtype))
