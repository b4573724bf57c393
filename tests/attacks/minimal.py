"""Linear models whose nearest beaten image is known, and small networks for what holds on all of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import Binary, MultiClass, Task
from robustdx.threats import L2, Linf, Threat

B, SHAPE = 8, (3, 6, 6)
N = 108
DRAWS = Draws(0, tuple(map(str, range(B))))
TASKS: dict[str, tuple[Task, int]] = {
    "one logit": (Binary(), 1),
    "two outputs": (Binary(), 2),
    "another operating point": (Binary(threshold=0.3), 1),
    "multi-class": (MultiClass(tuple("abcd")), 4),
}
WIDE = {"linf": Linf(1.0), "l2": L2(50.0)}


def linear(task: Task, outputs: int, seed: int = 0) -> DiagnosticModel:
    torch.manual_seed(seed)
    layer = nn.Linear(N, outputs)
    nn.init.normal_(layer.weight, std=0.3)
    return DiagnosticModel(nn.Sequential(nn.Flatten(), layer), task).eval()


def images(low: float = 0.35, high: float = 0.65) -> Tensor:
    return low + (high - low) * torch.rand(B, *SHAPE, generator=torch.Generator().manual_seed(1))


def small_network(outputs: int = 4, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(outputs)
    network = nn.Sequential(*layers)
    network(torch.zeros(1, 3, 12, 12))
    for p in network.parameters():
        if p.dim() > 1:
            nn.init.normal_(p, std=1.5 / p[0].numel() ** 0.5)
    return network


def as_decided(model: DiagnosticModel, x: Tensor) -> Tensor:
    """Labels under which every image is right: what the model says of it."""
    with torch.no_grad():
        return model.task.decide(model(x))


def dual_norm(threat: Threat, w: Tensor) -> Tensor:
    """How much a change of length 1 can move w * x."""
    return w.abs().sum(-1) if isinstance(threat, Linf) else w.norm(dim=-1)


def nearest_boundary(model: DiagnosticModel, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
    """The least margin over the dual norm of its weights, where [0, 1] does not bind."""
    flat = x.flatten(1).requires_grad_()
    margins = model.task.margins(model(flat.view_as(x)), y)
    slopes = torch.stack([torch.autograd.grad(m.sum(), flat, retain_graph=True)[0] for m in margins.T], 1)
    return (margins / dual_norm(threat, slopes)).detach().nan_to_num(nan=torch.inf).amin(1)


def by_bisection(threat: Threat, x: Tensor, w: Tensor, need: Tensor) -> Tensor:
    """The least distance at which w * x falls by `need` inside [0, 1]: clamp(x - t * steepest(w)), t by bisection."""
    low, high = torch.zeros(len(x), dtype=torch.float64), torch.full((len(x),), 1e4, dtype=torch.float64)
    x, w = x.double(), w.double()

    def at(t: Tensor) -> Tensor:
        return (x - t.view(-1, 1, 1, 1) * threat.steepest(w)).clamp(0, 1)

    for _ in range(200):
        t = (low + high) / 2
        short = ((x - at(t)) * w).flatten(1).sum(1) < need
        low, high = torch.where(short, t, low), torch.where(short, high, t)
    return threat.distance(at(high), x)
