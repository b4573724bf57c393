"""What an objective is: the loss that training lowers."""

from __future__ import annotations

from typing import Protocol

from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat


class Objective(Protocol):
    """Settings only; the situation is an argument. Gives a loss for each image, with a gradient to the weights.

    The model comes and goes in training mode. An objective without an adversary ignores `threat`.
    """

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage: ...
