"""A defence with a known answer, and how one is put around a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn

from robustdx.errors import ModelError
from robustdx.models import CNN, DiagnosticModel
from robustdx.selftest.victims import robust, undefended

Victim = Literal["undefended", "robust"]
VICTIMS = {"undefended": undefended, "robust": robust}


@final
@dataclass(frozen=True)
class Planted:
    """One defence of the selftest."""

    name: str
    """What tables call it."""
    make: Callable[[DiagnosticModel], DiagnosticModel]
    """The defence around a model. Made anew for each use: some remember what they were asked."""
    about: str
    """What it does to an image or to an answer."""
    hides: str
    """How it misleads an attack; of an honest one, why there is something to it."""
    around: Victim = "undefended"
    """Which network it is put around."""

    def __call__(self) -> DiagnosticModel:
        """The defended model, in eval mode."""
        return self.make(VICTIMS[self.around]()).eval()


def rewired(model: DiagnosticModel, network: nn.Module) -> DiagnosticModel:
    """The same model with another network behind its normalisation."""
    mean, std = model.mean.flatten().tolist(), model.std.flatten().tolist()
    return DiagnosticModel(network, model.task, size=model.size, mean=mean, std=std, resize=model.resize, order=model.order)


def cnn_of(model: DiagnosticModel) -> CNN:
    """The plain CNN inside, for defences that sit between its layers.

    Raises:
        ModelError: it is another network.
    """
    if not isinstance(model.network, CNN):
        raise ModelError(f"this defence sits inside the plain CNN, got {type(model.network).__name__}: give a model around a CNN")
    return model.network


def tied(y: Tensor, x: Tensor) -> Tensor:
    """y, with a thread to x of weight 0: autograd finds a way back, and on it nothing but zeros."""
    return y.detach() + 0 * (x.sum() if y.shape != x.shape else x)


def seeded(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers that are always the same."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
