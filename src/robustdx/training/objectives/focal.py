"""The focal loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch.nn import functional as F

from robustdx.attacks import Model
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiLabel, Task
from robustdx.tensors import Images, Labels, Outputs, PerImage
from robustdx.threats import Threat
from robustdx.training.objectives.decisions import Decisions
from robustdx.training.objectives.inner import require_weight
from robustdx.training.objectives.protocol import Passes, lowered


@final
@dataclass(frozen=True, kw_only=True)
class Focal:
    """The task's loss, the less the surer the network is of the label already (Lin et al. 2017, equation 4). Without an adversary.

        L = (1 - p_y)^gamma * loss(f(x), y)

    which for cross-entropy is theirs; with several findings each has its own p_y. Class weights, their alpha, are the plan's `sampling`
    and `weighting`. Xu et al. (2021, code) train their melanoma network so, gamma 2. With gamma = 0 this is plain training.
    Cost per image: one forward and one backward pass.
    """

    gamma: float = 2.0
    """How fast images that are right already stop to count."""

    needs_eps: ClassVar[bool] = False
    passes: ClassVar[Passes] = Passes(0, 2)

    def __post_init__(self) -> None:
        require_weight("gamma", self.gamma)

    def craft(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        return x

    def loss(self, model: Model, x: Images, x_adv: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return focused(model.task, model(x_adv, draws), y, self.gamma)

    def __call__(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> PerImage:
        return lowered(self, model, x, y, threat, draws)


def focused(task: Task, outputs: Outputs, y: Labels, gamma: float) -> PerImage:
    """The task's loss with the weight (1 - p_y)^gamma, decision by decision."""
    if gamma == 0:
        return task.loss(outputs, y)
    seen = Decisions.of(task, outputs, y)
    # the gradient of doubt^gamma is infinite at 0 for gamma below 1
    weight = seen.doubt.clamp_min(1e-12) ** gamma
    if isinstance(task, MultiLabel):
        each = F.binary_cross_entropy_with_logits(outputs, y.nan_to_num(), reduction="none")
        return seen.mean(weight * each)
    return weight[:, 0] * task.loss(outputs, y)
