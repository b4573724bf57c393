"""The average beside the worst: what plausible handling does when nobody chooses it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, Subject
from robustdx.models.oracle import Oracle
from robustdx.perturbations.box.box import Box
from robustdx.perturbations.box.changes import saved
from robustdx.tensors import Images, Labels


@final
@dataclass(frozen=True, kw_only=True)
class Sampled:
    """Errors at random points of the box, drawn evenly, on the images as they would be saved.

    1 - the mean of them all is the accuracy of the average; beside it, the worst of an image's `count` points is what chance alone finds
    (the "worst of k" of Engstrom et al. 2019). Cost per image: `count` forward passes.
    """

    box: Box = field(default_factory=Box)
    """How far each parameter may go."""
    count: int = 20
    """Random points for each image."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise PlanError(f"count must be at least 1, got {self.count}: the mean of no points is none")

    @torch.no_grad()
    def __call__(self, model: DiagnosticModel | Subject | Oracle, x: Images, y: Labels, draws: Draws) -> Tensor:
        """(B, count): the share of wrong decisions on each image at each of its points."""
        points = self.box.scaled(self.box.random(draws.fork("points"), x.new_empty(len(x), self.count, len(self.box.names))))
        errors = []
        for n in range(self.count):
            shown = saved(self.box.apply(x, points[:, n]))
            errors.append(model.task.errors(model.exact(shown, draws.fork("ask", n)), y))
        return torch.stack(errors, 1)


def sampled(box: Box, count: int) -> Sampled:
    """`count` random points of a box for each image."""
    return Sampled(box=box, count=count)
