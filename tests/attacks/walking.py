"""What the tests of iterative attacks share: a small network, and walks by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import Binary, MultiClass, MultiLabel, Task
from robustdx.threats import L2, Linf, Masked, Threat

B, SIDE = 5, 10
DRAWS = Draws(3, tuple(f"img{i}" for i in range(B)))
DRAWN = DRAWS.fork("restart", 0)
"""What an attack with one start draws from; each step forks by its number."""
REGION = (torch.arange(SIDE)[:, None] < 6).expand(B, 1, SIDE, SIDE)
TASKS: dict[str, tuple[Task, int]] = {
    "one logit": (Binary(), 1),
    "two outputs": (Binary(), 2),
    "multi-class": (MultiClass(tuple("abc")), 3),
    "multi-label": (MultiLabel(tuple("abcd")), 4),
}
THREATS: dict[str, Threat] = {
    "linf": Linf(8 / 255),
    "l2": L2(0.6),
    "masked": Masked(Linf(8 / 255), REGION),
    "masked l2": Masked(L2(0.6), REGION, "outside"),
    "channels": Linf.per_channel((4 / 255, 8 / 255, 2 / 255)),
}

TASK, LINF = MultiClass(tuple("abc")), Linf(8 / 255)
by_task = pytest.mark.parametrize(("task", "outputs"), TASKS.values(), ids=list(TASKS))
by_threat = pytest.mark.parametrize("threat", THREATS.values(), ids=list(THREATS))


def smooth_network(outputs: int, seed: int = 0) -> nn.Module:
    """Curved everywhere, so that no gradient is 0 and none stays the same."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(150, outputs))
    with torch.no_grad():
        network[0].weight *= 3
        network[-1].weight *= 6
    return network


def model_for(task: Task, outputs: int) -> DiagnosticModel:
    return DiagnosticModel(smooth_network(outputs), task, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)).eval().requires_grad_(False)


def images() -> Tensor:
    return torch.randint(0, 256, (B, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0)) / 255


def labels(task: Task) -> Tensor:
    g, k = torch.Generator().manual_seed(1), len(task.classes)
    return torch.randint(0, 2, (B, k), generator=g).float() if isinstance(task, MultiLabel) else torch.randint(0, k, (B,), generator=g)


def uphill(objective: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """The gradient of an objective (B,) at z."""
    z = z.detach().clone().requires_grad_()
    (grad,) = torch.autograd.grad(objective(z).sum(), z)
    return grad


def blurred(x: Tensor, width: int, sigma: float) -> Tensor:
    """Convolved with a Gaussian written out in two dimensions, each channel for itself."""
    pixels = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    weights = torch.exp(-(pixels[:, None] ** 2 + pixels[None, :] ** 2) / (2 * sigma**2))
    weights = (weights / weights.sum()).float()
    return torch.cat([F.conv2d(c, weights[None, None], padding=width // 2) for c in x.split(1, dim=1)], 1)


def assert_same(found: Tensor, expected: Tensor) -> None:
    """Equal but for float32's last bit, which may turn the sign of a gradient near 0."""
    differ = ((found - expected).abs() > 1e-5).float().mean()
    assert differ < 0.002, f"{differ:.1%} of the pixels differ"
