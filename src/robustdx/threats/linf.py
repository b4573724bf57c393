"""The L-infinity ball."""

from dataclasses import dataclass
from typing import final

from robustdx.draws import Draws
from robustdx.tensors import Images, PerImage, linf_norm
from robustdx.threats.protocol import GRID_SLACK, require_budget


@final
@dataclass(frozen=True)
class Linf:
    """Images that differ from x by at most eps at every pixel and channel; pixels are in [0, 1]."""

    eps: float
    """Largest change of a pixel, in pixel units: 8/255 is eight steps of an 8-bit image."""
    levels: int = 255
    """Steps of the grid on which images are saved: 255 for 8 bit, 65535 for 16 bit."""

    def __post_init__(self) -> None:
        require_budget(self.eps, 1, self.levels)

    @property
    def travel(self) -> float:
        """2.5: from one face of the cube to the other, and a quarter for detours (Madry et al. 2018, code)."""
        return 2.5

    @property
    def savable(self) -> bool:
        return self.eps * self.levels >= 1 - GRID_SLACK

    def project(self, x_adv: Images, x: Images) -> Images:
        return x_adv.clamp(x - self.eps, x + self.eps).clamp_(0, 1)

    def steepest(self, grad: Images) -> Images:
        return grad.sign()

    def sample(self, x: Images, draws: Draws) -> Images:
        return self.project(x + draws.uniform(-self.eps, self.eps, like=x), x)

    def distance(self, x_adv: Images, x: Images) -> PerImage:
        return linf_norm(x_adv - x)

    def snap(self, x_adv: Images, x: Images) -> Images:
        home = (x * self.levels).round()
        reach = int(self.eps * self.levels + GRID_SLACK)
        steps = (x_adv * self.levels).round_().clamp_(home - reach, home + reach)
        return steps.clamp_(0, self.levels).div_(self.levels)
