"""What training carries from step to step: weights, their moving average, and the optimiser."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from robustdx.errors import RunError
from robustdx.models import DiagnosticModel
from robustdx.training.plan import HardenPlan

State = dict[str, Any]


class Learner:
    """A model that learns, and the average of what it was: `average` is judged and saved."""

    def __init__(self, model: DiagnosticModel, average: DiagnosticModel, plan: HardenPlan, steps_per_epoch: int) -> None:
        self.model, self.average, self.plan = model, average.eval(), plan
        self.average.requires_grad_(False)
        self.optimiser = _optimiser(model, plan)
        self.whole, self.warm_up = plan.epochs * steps_per_epoch, plan.warm_up * steps_per_epoch
        self.step = 0
        """Steps taken so far."""

    @property
    def learning_rate(self) -> float:
        """Of the next step: up in a straight line, then down as half a cosine, to 0 after the last."""
        if self.step < self.warm_up:
            return self.plan.learning_rate * (self.step + 1) / (self.warm_up + 1)
        rest = max(1.0, self.whole - self.warm_up)
        return self.plan.learning_rate * (1 + math.cos(math.pi * (self.step - self.warm_up) / rest)) / 2

    def learn(self, loss: Tensor) -> float:
        """One step against the gradient of a mean loss.

        Raises:
            RunError: the loss or its gradient is not a number; nothing is changed.
        """
        value = float(loss.detach())
        if not math.isfinite(value):
            raise RunError(
                f"the loss became {value} at step {self.step + 1} of {self.whole}: training has diverged; "
                f'give another --out and a learning_rate below {self.plan.learning_rate:g}, or precision = "float32"'
            )
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate
        self.optimiser.zero_grad()
        loss.backward()
        self._require_gradients()
        self.optimiser.step()
        self.step += 1
        self._follow()
        return value

    def _require_gradients(self) -> None:
        """Refuse a gradient that is not a number although the loss is: weights would be spoilt, and a later image show it first."""
        given = {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None}
        if bool(torch.nn.utils.get_total_norm(list(given.values())).isfinite()):
            return
        name = next(n for n, grad in given.items() if not bool(grad.isfinite().all()))
        raise RunError(
            f"the gradient of {name} is not a number at step {self.step + 1} of {self.whole}, though the loss is one: on images "
            f"smaller than the kernels of the last layers, bfloat16 leaves gradients undefined; take larger images in this stage, "
            f'a learning_rate below {self.plan.learning_rate:g}, or precision = "float32"'
        )

    @torch.no_grad()
    def _follow(self) -> None:
        """average <- keep average + (1 - keep) weights; keep grows to the plan's, so that early noise is forgotten."""
        keep = min(self.plan.average, self.step / (self.step + 10))
        for old, new in zip(_tensors(self.average), _tensors(self.model), strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - keep)
            else:
                old.copy_(new)

    def state(self) -> State:
        """Everything that the next step depends on."""
        return {
            "step": self.step,
            "model": self.model.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: State) -> None:
        """Go on from where `state` was taken."""
        self.step = state["step"]
        self.model.network.load_state_dict(state["model"])
        self.average.network.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])


def _optimiser(model: nn.Module, plan: HardenPlan) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    if plan.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=plan.learning_rate)
    return torch.optim.SGD(groups, lr=plan.learning_rate, momentum=0.9, nesterov=True)


def _tensors(model: DiagnosticModel) -> list[Tensor]:
    return list(model.network.state_dict().values())
