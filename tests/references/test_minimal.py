"""Our minimal-norm attacks come as near as those of torchattacks and foolbox: the median distance at most 3 % larger."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peers.minimal import Minimal, distances, foolbox_attack, torchattacks_attack
from robustdx.attacks import CW, DDN, FAB, FMN, Attack, DeepFool
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiClass
from robustdx.threats import L2, Linf, Threat

MARGIN = 1.03
LINF, EUCLIDEAN = Linf(1.0), L2(30.0)
PAIRS: dict[str, tuple[Attack, Minimal, Threat]] = {
    "FAB, torchattacks, Linf": (FAB(), torchattacks_attack("FAB", norm="Linf", steps=100, eps=1.0, n_classes=4), LINF),
    "FAB, torchattacks, L2": (FAB(), torchattacks_attack("FAB", norm="L2", steps=100, eps=30.0, n_classes=4), EUCLIDEAN),
    "FAB-T, torchattacks, Linf": (
        FAB(targets=3),
        torchattacks_attack("FAB", norm="Linf", steps=100, eps=1.0, n_classes=4, multi_targeted=True),
        LINF,
    ),
    "DeepFool, foolbox, Linf": (DeepFool(), foolbox_attack("LinfDeepFoolAttack"), LINF),
    "DeepFool, foolbox, L2": (DeepFool(), foolbox_attack("L2DeepFoolAttack"), EUCLIDEAN),
    "DeepFool, torchattacks, L2": (DeepFool(), torchattacks_attack("DeepFool"), EUCLIDEAN),
    "DDN, foolbox, L2": (DDN(), foolbox_attack("DDNAttack", steps=100), EUCLIDEAN),
    "FMN, foolbox, Linf": (FMN(), foolbox_attack("LInfFMNAttack", steps=100), LINF),
    "FMN, foolbox, L2": (FMN(), foolbox_attack("L2FMNAttack", steps=100), EUCLIDEAN),
    "C&W, foolbox, L2": (CW(), foolbox_attack("L2CarliniWagnerAttack", steps=100, binary_search_steps=6), EUCLIDEAN),
    "C&W, torchattacks, L2": (CW(), torchattacks_attack("CW", steps=100), EUCLIDEAN),
}


def patterns(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Four patterns of colour under noise."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 4, (count,), generator=g)
    pattern = F.interpolate(torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(9)), (12, 12), mode="bilinear")
    return (0.25 + 0.5 * pattern[y] + 0.25 * torch.randn(count, 3, 12, 12, generator=g)).clamp(0, 1), y


@cache
def network(robust: bool) -> nn.Module:
    """A small network, trained on the patterns, plainly or one step of 0.05 away from them."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(400, 32), nn.ReLU()
    net = nn.Sequential(*layers, nn.Linear(32, 4))
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    x, y = patterns(1024, 0)
    for _ in range(8):
        for a, b in zip(x.split(64), y.split(64), strict=True):
            if robust:
                a = a.clone().requires_grad_()
                (grad,) = torch.autograd.grad(F.cross_entropy(net(a), b), a)
                a = (a + 0.05 * grad.sign()).clamp(0, 1).detach()
            optimiser.zero_grad()
            F.cross_entropy(net(a), b).backward()
            optimiser.step()
    return net.eval().requires_grad_(False)


@pytest.mark.parametrize("robust", [False, True], ids=["undefended", "robust"])
@pytest.mark.parametrize("name", list(PAIRS))
def test_the_median_distance_is_no_larger(name, robust):
    attack, peer, threat = PAIRS[name]
    net, (x, y) = network(robust), patterns(96, 5)
    right = net(x).argmax(1) == y
    assert right.float().mean() > 0.9
    x, y = x[right][:40], y[right][:40]
    model = DiagnosticModel(net, MultiClass(tuple("abcd"))).eval()
    torch.manual_seed(0)
    ours = distances(net, x, attack(model, x, y, threat, Draws(0, tuple(map(str, range(len(x)))))), y, threat)
    theirs = distances(net, x, peer(net, x, y, threat), y, threat)
    assert ours.isfinite().all()
    assert ours.median() <= MARGIN * theirs.median()
