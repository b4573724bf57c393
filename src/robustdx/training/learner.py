"""What training carries from step to step: weights, their moving average, and the optimiser."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from robustdx.errors import Diverged
from robustdx.models import DiagnosticModel
from robustdx.training.plan import HardenPlan
from robustdx.training.team import ALONE, Team

State = dict[str, Any]

LAST = 0.25
"""Share of the steps, the last ones, that `average = "swa"` takes the mean of (Izmailov et al. 2018 begin after 75 %)."""


class Learner:
    """A model that learns, and the average of what it was: `average` is judged and saved."""

    def __init__(
        self, model: DiagnosticModel, average: DiagnosticModel, plan: HardenPlan, steps_per_epoch: int, whole: int, team: Team = ALONE
    ) -> None:
        self.team = team
        self.model, self.average, self.plan = model, average.eval(), plan
        self.average.requires_grad_(False)
        self.optimiser = _optimiser(model, plan)
        self.whole = whole
        """Steps that will have been taken at the end, as it looks now."""
        self.warm_up = plan.warm_up * steps_per_epoch
        self.step = 0
        """Steps taken so far."""
        self.rate = 1.0
        """What the learning rate is multiplied by: below 1 once a monitor has lowered it."""

    @property
    def learning_rate(self) -> float:
        """Of the next step: up in a straight line, then down as half a cosine, to 0 after the last."""
        if self.step < self.warm_up:
            return self.rate * self.plan.learning_rate * (self.step + 1) / (self.warm_up + 1)
        rest = max(1.0, self.whole - self.warm_up)
        return self.rate * self.plan.learning_rate * (1 + math.cos(math.pi * (self.step - self.warm_up) / rest)) / 2

    def learn(self, losses: Iterable[Tensor]) -> float:
        """One step against the sum of some losses, whose gradients are formed one after the other; that sum, over the whole team.

        Raises:
            Diverged: the sum or its gradient is not a number; no weight is changed.
        """
        self.optimiser.zero_grad()
        value = 0.0
        for loss in losses:
            loss.backward()
            value += float(loss.detach())
        value = self._gathered(value)
        self._require_loss(value)
        self._require_gradients(self._shaped())
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate
        self.optimiser.step()
        self.step += 1
        self._follow()
        return value

    def _gathered(self, value: float) -> float:
        """Add up what the processes of the team found: losses, returned, and gradients, in place."""
        if self.team.size == 1:
            return value
        losses = torch.tensor([value], device=self.model.mean.device)
        self.team.add_up([losses, *(p.grad for p in self.model.parameters() if p.grad is not None)])
        return float(losses)

    def _require_loss(self, value: float) -> None:
        if not math.isfinite(value):
            raise Diverged(
                f"the loss became {value} at step {self.step + 1} of {self.whole}: training has diverged; "
                f'give another --out and a learning_rate below {self.plan.learning_rate:g}, or precision = "float32"'
            )

    def _shaped(self) -> Tensor:
        """Add the gradient of the L1 penalty, l1 * sign(w), then shorten to `clip`; the length before it was shortened."""
        learning = [p for p in self.model.parameters() if p.grad is not None]
        grads = [p.grad for p in learning if p.grad is not None]
        if self.plan.l1 > 0:
            for p, grad in zip(learning, grads, strict=True):
                grad.add_(p.detach().sign(), alpha=self.plan.l1)
        norm = torch.nn.utils.get_total_norm(grads)
        if self.plan.clip is not None and bool(norm.isfinite()):
            torch.nn.utils.clip_grads_with_norm_(learning, self.plan.clip, norm)
        return norm

    def _require_gradients(self, norm: Tensor) -> None:
        """Refuse a gradient that is not a number although the loss is: weights would be spoilt, and a later image show it first."""
        if bool(norm.isfinite()):
            return
        given = {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None}
        name = next((n for n, grad in given.items() if not bool(grad.isfinite().all())), next(iter(given)))
        raise Diverged(
            f"the gradient of {name} is not a number at step {self.step + 1} of {self.whole}, though the loss is one: on images "
            f"smaller than the kernels of the last layers, bfloat16 leaves gradients undefined; take larger images in this stage, "
            f'a learning_rate below {self.plan.learning_rate:g}, or precision = "float32"'
        )

    @torch.no_grad()
    def _follow(self) -> None:
        """average <- keep average + (1 - keep) weights."""
        keep = self._keep()
        for old, new in zip(_tensors(self.average), _tensors(self.model), strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - keep)
            else:
                old.copy_(new)

    def _keep(self) -> float:
        """Share of the old average: for EMA it grows to the plan's, so that early noise is forgotten; for SWA it makes a plain mean."""
        if self.plan.average == "swa":
            taken = max(0.0, self.step - (1 - LAST) * self.whole)
            return taken / (taken + 1)
        return min(float(self.plan.average), self.step / (self.step + 10))

    def state(self) -> State:
        """Everything that the next step depends on."""
        return {
            "step": self.step,
            "whole": self.whole,
            "rate": self.rate,
            "model": self.model.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: State) -> None:
        """Go on from where `state` was taken."""
        self.step, self.whole, self.rate = state["step"], state["whole"], state["rate"]
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
