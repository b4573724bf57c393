"""Networks of a few hundred weights, and labels for every task, that objectives are tried on."""

import torch
from torch import Tensor, nn

from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import Binary, MultiClass, MultiLabel, Ordinal

B = 3
DRAWS = Draws(3, tuple(f"img{i}" for i in range(B)))
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
TASKS = {
    "one logit": (Binary(), 1),
    "two outputs": (Binary(), 2),
    "multi-class": (MultiClass(tuple("abc")), 3),
    "multi-label": (MultiLabel(tuple("abcd")), 4),
    "ordinal": (Ordinal(tuple("0123")), 4),
    "cumulative": (Ordinal(tuple("0123"), cumulative=True), 3),
}


def network(outputs: int, norm: bool = True) -> nn.Module:
    """Smooth, so that the gradient of two implementations differs by rounding only."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4) if norm else nn.Identity(), nn.Tanh(), nn.AvgPool2d(4), nn.Flatten()
    head = nn.Linear(16, outputs)
    with torch.no_grad():
        head.weight.mul_(4)
    return nn.Sequential(*layers, head)


def model(name: str, norm: bool = True) -> DiagnosticModel:
    """A small model of a task, in training mode."""
    task, outputs = TASKS[name]
    return DiagnosticModel(network(outputs, norm), task, mean=MEAN, std=STD).train()


def images(count: int = B) -> Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1


def labels(name: str, count: int = B) -> Tensor:
    """Labels; of the findings one is not annotated in the first image, and none in the last."""
    task, _ = TASKS[name]
    g = torch.Generator().manual_seed(2)
    if not isinstance(task, MultiLabel):
        return torch.randint(0, len(task.classes), (count,), generator=g)
    y = torch.randint(0, 2, (count, len(task.classes)), generator=g).float()
    y[0, 1], y[-1] = float("nan"), float("nan")
    return y


def gradients(model: nn.Module) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
