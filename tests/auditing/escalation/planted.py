"""A linear model, and what may stand before it: the truth about each is known in closed form."""

from __future__ import annotations

import torch
from torch import nn

from robustdx.attacks import PGD
from robustdx.auditing.cell import Batch
from robustdx.auditing.escalation.examine import Examined, examine
from robustdx.models import DiagnosticModel
from robustdx.models.guarded import Guarded
from robustdx.tasks import Binary
from robustdx.threats import Linf

SIDE, COUNT, EPS = 6, 12, 8 / 255


def linear() -> DiagnosticModel:
    """One logit; images are right by margins on both sides of what eps can change."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 1))
    nn.init.zeros_(network[1].bias)
    return DiagnosticModel(network, Binary(), size=(SIDE, SIDE), mean=(0.5,) * 3, std=(0.5,) * 3).eval()


def images(model: DiagnosticModel, seed: int = 1) -> Batch:
    """Noise, labelled by the model; pixels away from 0 and 1, so that the ball is whole."""
    x = torch.randint(60, 196, (COUNT, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(seed)) / 255
    with torch.no_grad():
        y = model.task.decide(model(x))
    return Batch(x, y, tuple(f"img{i}" for i in range(COUNT)), (None,) * COUNT)


def truly_standing(model: DiagnosticModel, batch: Batch, eps: float = EPS) -> int:
    """Images that no change of eps can turn: the margin against the sum of all weights."""
    weight = model.network[1].weight / 0.5
    with torch.no_grad():
        return int((model.task.margin(model(batch.x), batch.y) > eps * weight.abs().sum()).sum())


class Behind(nn.Module):
    """The model behind `before` (of images) and in front of `after` (of logits)."""

    def __init__(self, model, before=None, after=None):
        super().__init__()
        self.model, self.before, self.after = model, before or (lambda x: x), after or (lambda z: z)

    def forward(self, x):
        return self.after(self.model(self.before(x)))


def behind(before=None, after=None) -> tuple[DiagnosticModel, DiagnosticModel]:
    """The bare model, and the same with something around it."""
    bare = linear()
    return bare, Guarded(Behind(bare, before, after), bare).eval()


def examined(model: DiagnosticModel, batch: Batch, eps: float = EPS) -> Examined:
    return examine(model, batch, PGD(steps=10), Linf(eps))


def left(done: Examined) -> int:
    return done.judgement["staircase"][0]["rungs"][-1]["standing"]
