"""A model that can only be asked: no gradients, so many queries for each image, and perhaps only its decisions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, NoReturn, final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models.crafting import Subject
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.tasks import Task
from robustdx.tasks.protocol import Activation
from robustdx.tensors import Flags, Images, Labels, Outputs, PerImage

Reveals = Literal["scores", "labels"]


class Oracle:
    """A black box around a model: what an adversary sees who can send images and read answers, nothing else.

    It answers in float32, as the model in use would, and counts every query for its image in `queries`. With
    reveals="labels" the task tells whether decisions are wrong, and refuses what would need scores. When the budget of an
    image is spent, attacks of this library stop for it with the worst image they have (they ask `left`); a query beyond it is
    refused.
    """

    def __init__(self, model: DiagnosticModel | Subject, *, reveals: Reveals = "scores", budget: int | None = None) -> None:
        """`budget` is the number of queries for each image; left out, there is no end.

        Raises:
            PlanError: a budget that allows no query, or an unknown thing to reveal.
        """
        if reveals not in ("scores", "labels"):
            raise PlanError(f'expected reveals to be "scores" or "labels", got {reveals!r}')
        if budget is not None and budget < 1:
            raise PlanError(f"expected a budget of at least 1 query for each image, got {budget}: with none there is nothing to attack")
        self.model, self.reveals, self.budget = model, reveals, budget
        self.queries: Counter[str] = Counter()
        self._task: Task = model.task if reveals == "scores" else Decisions(model.task)

    @property
    def task(self) -> Task:
        return self._task

    @property
    def rough(self) -> bool:
        """Never: every answer is in float32."""
        return False

    def left(self, draws: Draws) -> Tensor:
        """How many queries each image has left, (B,)."""
        if self.budget is None:
            return torch.full((len(draws.ids),), torch.iinfo(torch.long).max)
        return torch.tensor([self.budget - self.queries[i] for i in draws.ids])

    def __call__(self, x: Images, draws: Draws) -> Outputs:
        """The answer to one query for each image of the batch.

        Raises:
            PlanError: a gradient was asked for, or the budget of an image is spent.
        """
        if x.requires_grad and torch.is_grad_enabled():
            raise PlanError(_no_gradient(self.reveals))
        asked = Counter(draws.ids)
        over = next((i for i, n in asked.items() if self.budget is not None and self.queries[i] + n > self.budget), None)
        if over is not None:
            raise PlanError(
                f"the black box answers {self.budget} queries for each image, and those for {over} are spent: "
                "give a larger budget, or ask `left` before asking"
            )
        self.queries.update(asked)
        with torch.no_grad():
            return self.model.exact(x, draws)

    def exact(self, x: Images, draws: Draws) -> Outputs:
        """The same as a call: another query."""
        return self(x, draws)


@final
@dataclass(frozen=True)
class Decisions:
    """A task of which only decisions are seen: it says what is wrong, and nothing of how nearly."""

    task: Task

    @property
    def classes(self) -> tuple[str, ...]:
        return self.task.classes

    @property
    def activation(self) -> Activation:
        return self.task.activation

    @property
    def outputs(self) -> tuple[int, ...]:
        return self.task.outputs

    def require_labels(self, y: Labels) -> None:
        self.task.require_labels(y)

    def decide(self, outputs: Outputs) -> Labels:
        return self.task.decide(outputs)

    def errors(self, outputs: Outputs, y: Labels) -> PerImage:
        return self.task.errors(outputs, y)

    def fooled(self, outputs: Outputs, y: Labels) -> Flags:
        return self.task.fooled(outputs, y)

    def probabilities(self, outputs: Outputs) -> Outputs:
        _no_scores("probabilities")

    def loss(self, outputs: Outputs, y: Labels) -> PerImage:
        _no_scores("a loss")

    def margin(self, outputs: Outputs, y: Labels) -> PerImage:
        _no_scores("a margin")

    def margins(self, outputs: Outputs, y: Labels) -> Outputs:
        _no_scores("margins")

    def confidence(self, outputs: Outputs) -> PerImage:
        _no_scores("a confidence")

    def divergence(self, outputs: Outputs, reference: Outputs) -> PerImage:
        _no_scores("a divergence")


def _no_gradient(reveals: Reveals) -> str:
    takes = "square, simba or nes" if reveals == "scores" else "hopskipjump or boundary"
    return f"this model is a black box that reveals only its {reveals}, and the attack asks for a gradient: take {takes}"


def _no_scores(what: str) -> NoReturn:
    raise PlanError(f"this model is a black box that reveals only its labels, and the attack asks for {what}: take hopskipjump or boundary")
