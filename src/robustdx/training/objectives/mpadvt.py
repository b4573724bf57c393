"""Multi-perturbations adversarial training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from robustdx.attacks import Model
from robustdx.attacks.loops.climb import Climb, Front, Worst
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Flags, Images, Labels, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.budgets import Portioned, Scale, Version, met, require_scale, require_version, warn_of_faults
from robustdx.training.objectives.focal import focused
from robustdx.training.objectives.inner import require_weight
from robustdx.training.objectives.protocol import Passes, lowered

LOWEST, HIGHEST, LENGTH = 0.01, 0.04, 1 / 255
"""The smallest and the largest eps, and the length of a step, of the normalised image as published."""

FEWEST, MOST = 1, 9
"""Steps of the search."""


@final
@dataclass(frozen=True, kw_only=True)
class MPAdvT:
    """Adversarial training on budgets and numbers of steps that are drawn, and as often on the clean image (Xu et al. 2021, code).

        L = loss(f(x'), y),   x' = x, or with probability 1/2 PGD(x; eps, n),   eps ~ U(0.01, 0.04), n uniform in 1 .. 9

    with steps of 1/255 from a random start. The published numbers are of the normalised image: eps is about 0.2 to 1.6/255 of the pixels
    for their melanoma network. `matched` keeps their proportions, with 0.04 standing for the eps of the plan. The code draws once for a
    batch; here each image has draws of its own.

    `released` trains in eval mode, as their Messidor script does (batch norm and dropout stay as they were when it began). Not kept of it:
    the clamp to the range of the batch, which lets pixels leave [0, 1] by up to eps, and the L1 term, which belongs to the plan.
    Cost per image: on average 3.5 forward and backward passes.
    """

    version: Version = "matched"
    """"matched": the plan's eps is the largest drawn; "as_published": the largest is 0.04 times the channels' std, under Linf;
    "released": that, with the faults of the code."""
    std: Scale = None
    """Standard deviations of the channels by which the published eps is read; left out, those of the model's normalisation."""
    gamma: float = 0.0
    """Focusing of the loss, as in `focal`; 2 for their melanoma network."""

    passes: ClassVar[Passes] = Passes((FEWEST + MOST) / 2, 2)

    def __post_init__(self) -> None:
        require_weight("gamma", self.gamma)
        require_version("mpadvt", self.version, self.std)
        if self.version == "released":
            warn_of_faults("mpadvt", "the network learns in eval mode")

    def require(self, model: DiagnosticModel) -> None:
        """Refuse a model by whose normalisation the published eps cannot be read."""
        require_scale("mpadvt", self.version, self.std, model)

    @property
    def needs_eps(self) -> bool:
        return self.version == "matched"

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        whole = met(self.version, self.std, threat, model, HIGHEST)
        if whole.eps == 0:
            return x
        steps, portions = drawn(x, draws)
        ball, stream = Portioned(whole, portions), draws.fork("restart", 0)
        front = Front.whole(x, y, x, stream).only(steps > 0)
        if len(front):
            front = replace(front, x_t=ball.take(front.at).sample(front.x, front.draws))
        worst, step = Worst(x), Climb(1, LENGTH / HIGHEST, keep="last")
        for t in range(MOST):
            front = front.only(steps[front.at] > t)
            if not len(front):
                break
            step(model, replace(front, draws=front.draws.fork("climb", t)), ball, worst)
            front = replace(front, x_t=worst.x_adv[front.at])
        return worst.x_adv

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return focused(model.task, model(x_adv, draws), y, self.gamma)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        if self.version != "released":
            return lowered(self, model, x, y, threat, draws)
        with evaluating(model):
            return lowered(self, model, x, y, threat, draws)


def drawn(x: Images, draws: Draws) -> tuple[Tensor, PerImage]:
    """For each image how many steps are taken, 0 where it stays clean, and which portion of the largest eps is granted."""
    one = x.flatten(1)[:, 0]
    perturbed: Flags = draws.fork("perturbed").uniform(0, 1, like=one) < 0.5
    portions = draws.fork("eps").uniform(LOWEST / HIGHEST, 1, like=one)
    steps = draws.fork("steps").integers(FEWEST, MOST + 1).to(x.device)
    return torch.where(perturbed, steps, 0), portions


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside the block, with weights that learn; modes are restored after it."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
