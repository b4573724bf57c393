"""The L-infinity ball."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

from torch import Tensor

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, PerImage, linf_norm
from robustdx.threats.protocol import GRID_SLACK, require_budget


@final
@dataclass(frozen=True)
class Linf:
    """Images that differ from x by at most eps at every pixel and channel; pixels are in [0, 1].

    With `shares`, a channel may only change by its share of eps: an eps that was published for normalised pixels is another
    one in each channel. `Linf.per_channel((a, b, c))` writes it that way; `Linf((a, b, c))` is the same. Distances are then
    counted in shares: a change of a whole channel's budget is eps.
    """

    eps: float
    """Largest change of a pixel, in pixel units: 8/255 is eight steps of an 8-bit image."""
    levels: int = 255
    """Steps of the grid on which images are saved: 255 for 8 bit, 65535 for 16 bit."""
    shares: tuple[float, ...] = ()
    """What each channel may use of eps, the largest 1; left out, every channel all of it."""

    def __post_init__(self) -> None:
        if isinstance(self.eps, tuple | list):
            self._split(self.eps)
        require_budget(self.eps, 1, self.levels)
        if self.shares and not (min(self.shares) > 0 and max(self.shares) == 1):
            raise PlanError(f"shares of eps must be above 0 and the largest 1, got {self.shares}: to leave a channel out is not offered")

    @classmethod
    def per_channel(cls, eps: Sequence[float], levels: int = 255) -> Self:
        """An eps for each channel, in pixel units."""
        return cls(tuple(eps), levels)  # type: ignore[arg-type]

    @property
    def travel(self) -> float:
        """2.5: from one face of the cube to the other, and a quarter for detours (Madry et al. 2018, code)."""
        return 2.5

    @property
    def savable(self) -> bool:
        return self.eps * self.levels >= 1 - GRID_SLACK

    def take(self, index: Tensor) -> Self:
        return self

    def project(self, x_adv: Images, x: Images) -> Images:
        reach = self.eps * self._share(x)
        return x_adv.clamp(x - reach, x + reach).clamp_(0, 1)

    def steepest(self, grad: Images) -> Images:
        return grad.sign() * self._share(grad) if self.shares else grad.sign()

    def sample(self, x: Images, draws: Draws) -> Images:
        return self.project(x + draws.uniform(-self.eps, self.eps, like=x) * self._share(x), x)

    def distance(self, x_adv: Images, x: Images) -> PerImage:
        return linf_norm((x_adv - x) / self._share(x) if self.shares else x_adv - x)

    def snap(self, x_adv: Images, x: Images) -> Images:
        home = (x * self.levels).round()
        reach = self.eps * self.levels * self._share(x) + GRID_SLACK
        reach = reach.floor() if isinstance(reach, Tensor) else int(reach)
        steps = (x_adv * self.levels).round_().clamp_(home - reach, home + reach)
        return steps.clamp_(0, self.levels).div_(self.levels)

    def _split(self, eps: Sequence[float]) -> None:
        """An eps for each channel as the largest and the shares of it."""
        if self.shares:
            raise PlanError("expected an eps for each channel or shares of one eps, got both: leave one out")
        largest = max(eps, default=0.0)
        object.__setattr__(self, "eps", largest)
        object.__setattr__(self, "shares", tuple(e / largest for e in eps) if largest and min(eps) < largest else ())

    def _share(self, like: Images) -> Tensor | float:
        """1, or the channels' shares (1, C, 1, 1)."""
        if not self.shares:
            return 1.0
        if like.shape[-3] != len(self.shares):
            raise PlanError(f"eps has a share for each of {len(self.shares)} channels, the images have {like.shape[-3]}: give one for each")
        return like.new_tensor(self.shares).view(1, -1, 1, 1)
