"""How an adversary gets a gradient through what has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from robustdx.draws import Draws
from robustdx.models import Purifier
from robustdx.tensors import Images


@final
@dataclass(frozen=True)
class StraightThrough:
    """BPDA: purify on the way forward, the identity or a stand-in on the way back (Athalye et al. 2018, sections 4.1 and 4.1.2).

    An attack on `Defended(model, StraightThrough(purifier))` sees what the defended model answers, and a gradient that the
    purifier cannot hide. Right where purify(x) is near x, or near what the stand-in makes of x. Cost: the purifier's and the stand-in's.
    """

    purifier: Purifier
    stand_in: Purifier | None = None
    """A differentiable purifier whose gradient is taken; None: the identity."""

    def __call__(self, x: Images, draws: Draws) -> Images:
        with torch.no_grad():
            pure = self.purifier(x, draws)
        through = x if self.stand_in is None else self.stand_in(x, draws)
        return pure + (through - through.detach())
