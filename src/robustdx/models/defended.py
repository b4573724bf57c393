"""A model behind a purifier: itself a model, so that everything applies to it unchanged."""

from __future__ import annotations

from typing import Protocol

import torch

from robustdx.draws import Draws
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.tasks import Task
from robustdx.tensors import Images, Outputs, require_pixels


class Purifier(Protocol):
    """Images in, images out, both (B, C, H, W) in [0, 1]; what is random comes from the draws of each image."""

    def __call__(self, x: Images, draws: Draws) -> Images: ...


class Defended(DiagnosticModel):
    """A model that sees only what a purifier lets through: `model(purify(x))`."""

    def __init__(self, model: DiagnosticModel, purifier: Purifier) -> None:
        mean, std = model.mean.flatten().tolist(), model.std.flatten().tolist()
        super().__init__(
            model.network, model.task, size=model.size, mean=mean, std=std, outputs=model.outputs, resize=model.resize, order=model.order
        )
        self.model, self.purifier, self.dtype = model, purifier, model.dtype
        self.to(model.mean.device)
        self.training = model.training

    def forward(self, x: Images, draws: Draws | None = None) -> Outputs:
        """Logits of the purified images; without draws, each position in the batch draws from its own fixed stream.

        Raises:
            ImageError: pixels outside [0, 1], before or after the purifier.
        """
        if not torch.compiler.is_compiling():
            require_pixels(x)
        given = draws or Draws(0, tuple(str(i) for i in range(len(x))))
        return self.model(self.purifier(x, given.fork("purify")), draws)

    @property
    def passes(self) -> int:
        return self.model.passes

    def with_task(self, task: Task) -> Defended:
        return Defended(self.model.with_task(task), self.purifier)

    def in_precision(self, dtype: torch.dtype) -> Defended:
        """A copy whose network computes in `dtype`; the purifier stays in float32."""
        return Defended(self.model.in_precision(dtype), self.purifier)
