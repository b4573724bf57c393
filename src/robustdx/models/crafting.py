"""How a model is handed to an attack: still, frozen, fast where it searches, exact where it counts, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from robustdx.draws import Draws
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.tasks import Task
from robustdx.tensors import Images, Outputs


@contextmanager
def still(model: nn.Module) -> Iterator[None]:
    """Eval mode and frozen weights inside the block; modes, flags and gradients are restored after it.

    Frozen weights spare their share of every backward pass, and leave no gradients behind.
    """
    modes = {module: module.training for module in model.modules()}
    flags = {p: p.requires_grad for p in model.parameters()}
    model.eval()
    for p in flags:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for p, flag in flags.items():
            p.requires_grad_(flag)


class Subject:
    """What an attack is handed in place of the model: same call, and every pass is counted for its image.

    The call searches in the precision of `fast`; `exact` is the model itself, in float32.
    """

    def __init__(self, model: DiagnosticModel, fast: DiagnosticModel | None = None) -> None:
        self.model, self.fast = model, fast or model
        self.forwards: Counter[str] = Counter()
        self.backwards: Counter[str] = Counter()
        self.room = 0
        """The largest batch it has been shown, or that its caller has room for: so many images go together."""

    @property
    def task(self) -> Task:
        return self.model.task

    @property
    def rough(self) -> bool:
        """Whether the search runs in a lower precision than the verdict."""
        return self.fast is not self.model

    def __call__(self, x: Images, draws: Draws) -> Outputs:
        """Logits in the precision of the search; a backward pass through them is counted when it happens."""
        return self._counted(self.fast, x, draws)

    def exact(self, x: Images, draws: Draws) -> Outputs:
        """Logits in float32."""
        return self._counted(self.model, x, draws)

    def _counted(self, model: DiagnosticModel, x: Images, draws: Draws) -> Outputs:
        outputs = model(x, draws)
        self.room = max(self.room, len(x))
        passes = Counter(draws.ids * model.passes)
        self.forwards.update(passes)
        if outputs.requires_grad:
            outputs.register_hook(lambda grad: self.backwards.update(passes))
        return outputs


def searching(model: DiagnosticModel, precision: str) -> Subject:
    """The subject of one attack; `model` must be `still`. precision: "float32" or "bfloat16"."""
    if precision == "float32":
        return Subject(model)
    fast = model.in_precision(getattr(torch, precision))
    fast.requires_grad_(False)
    return Subject(model, fast.eval())
