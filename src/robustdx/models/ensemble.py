"""Several models as one: their mean logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from robustdx.draws import Draws
from robustdx.errors import ModelError
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.tasks import Task
from robustdx.tensors import Images, Outputs


class Ensemble(DiagnosticModel):
    """Models of one task whose logits are averaged: what an image is crafted on that shall fool yet another model.

    The mean is that of the logits and not of the probabilities: attacks transfer better from it (Dong et al. 2018, section 3.2,
    "ensemble in logits"), and a member that is sure of itself still has a slope, and so a say. Each member sees the images through
    its own normalisation, and its own resizing where it has one, and draws for itself. Cost: a pass of each member.
    """

    def __init__(self, models: Sequence[DiagnosticModel]) -> None:
        """
        Raises:
            ModelError: no models, or models that do not take the same images for the same task.
        """
        require_alike(models)
        first = models[0]
        fixed = [m for m in models if not m.resize]
        super().__init__(
            nn.ModuleList(models),
            first.task,
            size=(fixed or models)[0].size,
            mean=(0.0,) * first.channels,
            std=(1.0,) * first.channels,
            resize=not fixed,
        )
        self.to(first.mean.device)
        self.dtype = min((m.dtype for m in models), key=lambda dtype: dtype.itemsize)
        self.training = first.training

    @property
    def models(self) -> tuple[DiagnosticModel, ...]:
        """The members."""
        return tuple(cast(DiagnosticModel, m) for m in cast(nn.ModuleList, self.network))

    @property
    def passes(self) -> int:
        return sum(m.passes for m in self.models)

    def forward(self, x: Images, draws: Draws | None = None) -> Outputs:
        """The mean logits.

        Raises:
            ImageError: pixels outside [0, 1].
            ModelError: members that answer in different forms, such as one logit and two.
        """
        each = [m(x, None if draws is None else draws.fork("member", i)) for i, m in enumerate(self.models)]
        if len(shapes := {tuple(z.shape) for z in each}) > 1:
            raise ModelError(f"the models of an ensemble must answer in one form, got outputs of the shapes {sorted(shapes)}")
        return torch.stack(each).mean(0)

    def with_task(self, task: Task) -> Ensemble:
        return Ensemble([m.with_task(task) for m in self.models])

    def in_precision(self, dtype: torch.dtype) -> Ensemble:
        """Copies of the members that compute in `dtype`, where they can."""
        return Ensemble([m.in_precision(dtype) for m in self.models])


def require_alike(models: Sequence[DiagnosticModel]) -> None:
    """Refuse models that cannot be shown the same images for the same task."""
    if not models:
        raise ModelError("an ensemble needs at least one model, got none")
    sizes = {m.size for m in models if not m.resize and m.size is not None}
    for what, found in (
        ("task", {str(m.task) for m in models}),
        ("number of channels", {str(m.channels) for m in models}),
        ("size, or resize=True", {f"{height}x{width}" for height, width in sizes}),
    ):
        if len(found) > 1:
            raise ModelError(f"the models of an ensemble must have the same {what}, got {' and '.join(sorted(found))}")
