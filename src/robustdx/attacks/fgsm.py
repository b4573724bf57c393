"""The fast gradient sign method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from robustdx.attacks.pgd import PGD
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.tensors import Images, Labels
from robustdx.threats import Threat


@final
@dataclass(frozen=True, kw_only=True)
class FGSM:
    """One step of length eps along the gradient (Goodfellow et al. 2015, section 4): x + eps * sign(grad loss(x)).

    Under L2 the step follows the gradient itself, scaled to length eps. Cost per image: one forward and one backward pass.
    """

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        return PGD(steps=1, step_size=1.0, random_start=False, early_stop=False, keep="last")(model, x, y, threat, draws)
