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
    """BPDA: purify on the way forward, the identity on the way back (Athalye et al. 2018, section 4.1).

    An attack on `Defended(model, StraightThrough(purifier))` sees what the defended model answers, and a gradient that the
    purifier cannot hide. Right where purify(x) is near x. Cost: the purifier's.
    """

    purifier: Purifier

    def __call__(self, x: Images, draws: Draws) -> Images:
        with torch.no_grad():
            pure = self.purifier(x, draws)
        return pure + (x - x.detach())
