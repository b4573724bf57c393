"""A stochastic model whose draws the adversary knows."""

from __future__ import annotations

import torch

from robustdx.draws import Draws
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.models.wrapper import Wrapper
from robustdx.tasks import Task
from robustdx.tensors import Images, Outputs


class KnownDraws(Wrapper):
    """Draws what the verdict will draw, whatever it is asked to draw: an adversary who knows the seed of each image.

    Where randomness is fixed for each image, as it must be for an answer that can be repeated, that adversary is real. Cost: the model's.
    """

    def __init__(self, model: DiagnosticModel, path: tuple[str, ...]) -> None:
        super().__init__(model)
        self.path = path

    def forward(self, x: Images, draws: Draws | None = None) -> Outputs:
        return self.model(x, None if draws is None else Draws(draws.seed, draws.ids, self.path))

    def with_task(self, task: Task) -> KnownDraws:
        return KnownDraws(self.model.with_task(task), self.path)

    def in_precision(self, dtype: torch.dtype) -> KnownDraws:
        return KnownDraws(self.model.in_precision(dtype), self.path)
