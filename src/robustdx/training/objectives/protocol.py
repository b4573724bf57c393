"""What an objective is: the loss that training lowers, on the images that it shows."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from robustdx.attacks import Model
from robustdx.draws import Draws
from robustdx.errors import UnsupportedTask
from robustdx.models import DiagnosticModel, still
from robustdx.tasks import TASKS
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat


class Passes(NamedTuple):
    """Forward and backward passes for each image, counted alike; where they are drawn, their mean."""

    crafting: float
    """To find the images that are shown."""
    learning: float
    """To learn from them."""


class Objective(Protocol):
    """Settings only; the situation is an argument. Gives a loss for each image, with a gradient to the weights.

    It has two parts, so that a wrapper can come between them: `craft` finds the images, `loss` is what the weights lower on
    them; `__call__` is `lowered`, both in a row. The model comes and goes in training mode. An objective without an adversary ignores
    `threat`. One that has no meaning for some models or their tasks says so in a method `require(model)`.
    """

    @property
    def needs_eps(self) -> bool:
        """Whether it lives on the threat of the plan, and is another, simpler objective where that is nothing."""
        ...

    @property
    def passes(self) -> Passes:
        """What it costs."""
        ...

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        """The images that the weights see, of a model that is `still`."""
        ...

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        """What the weights lower, once `craft` has given x_adv; the model is in training mode."""
        ...

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage: ...


def lowered(objective: Objective, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
    """Both parts of an objective: the images in eval mode and with frozen weights, the loss in training mode.

    Raises:
        UnsupportedTask: the objective has no meaning for the model's task.
    """
    require_meaning(objective, model)
    with still(model):
        x_adv = objective.craft(model, x, y, threat, draws)
    return objective.loss(model, x, x_adv.detach(), y, threat, draws)


def require_meaning(objective: Objective, model: DiagnosticModel) -> None:
    """Refuse a model, or a task, that the objective has no meaning for (PlanError, UnsupportedTask)."""
    if type(model.task) not in TASKS.methods.values():
        raise UnsupportedTask(
            f"training learns what a label says, which is one of the tasks {', '.join(sorted(TASKS.methods))}; got "
            f"{type(model.task).__name__}, which is what an adversary wants: hand over the model with the task itself"
        )
    require = getattr(objective, "require", None)
    if require is not None:
        require(model)
