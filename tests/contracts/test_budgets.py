"""Budgets hold for every attack, task, goal and threat: for the image as found and, from one step of the grid, for the image as saved."""

import random

import pytest
import torch
from torch import nn

from robustdx.attacks import ATTACKS
from robustdx.data.in_memory import from_torch
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import Aimed, AllFindings, AnyFinding, Binary, Class, Costly, Finding, Grades, MultiClass, MultiLabel, Ordinal, Targeted
from robustdx.threats import L2, Linf, Masked
from tests.contracts.test_attacks import CHEAP, REFUSED

ABC = tuple("abc")
TASKS = {
    "one logit": (Binary(), 1),
    "two outputs": (Binary(), 2),
    "classes": (MultiClass(ABC), 3),
    "findings": (MultiLabel(ABC), 3),
    "grades": (Ordinal(ABC), 3),
    "steps between grades": (Ordinal(ABC, cumulative=True), 2),
    "targeted": (Targeted(MultiClass(ABC)), 3),
    "any finding": (Aimed(MultiLabel(ABC), AnyFinding()), 3),
    "all findings": (Aimed(MultiLabel(ABC), AllFindings()), 3),
    "a finding hidden": (Aimed(MultiLabel(ABC), Finding("b")), 3),
    "a class": (Aimed(MultiClass(ABC), Class("c")), 3),
    "two grades up": (Aimed(Ordinal(ABC), Grades(2, "up")), 3),
    "costly": (Aimed(MultiClass(ABC), Costly(((0, 1, 2), (9, 0, 1), (4, 4, 0)))), 3),
}
FLOAT32 = 5e-7
"""What a pixel near 1 keeps of a budget of 0.1/255, in the units of a channel that has a quarter of it."""
THREATS = ("linf", "l2", "channels", "inside", "outside")


def threat_to(kind, eps, x, draw):
    """A threat of this kind, about as large for each."""
    if kind in ("inside", "outside"):
        b, _, h, w = x.shape
        return Masked(Linf(eps) if draw.random() < 0.5 else L2(8 * eps), (torch.rand(b, 1, h, w) < 0.5).float(), kind)
    if kind == "channels":
        return Linf.per_channel([eps * share for share in (1, 0.5, 0.25)[: x.shape[1]]])
    return {"linf": Linf, "l2": L2}[kind](eps if kind == "linf" else 8 * eps)


def situation(task, outputs, seed, shape=None):
    """A network, images of a random shape with 1 or 3 channels, labels with some not annotated, and a budget from 0.1/255."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    b, c, h, w = shape or (draw.randint(1, 4), draw.choice((1, 3)), draw.randint(5, 12), draw.randint(5, 12))
    network = nn.Sequential(nn.Conv2d(c, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, outputs))
    model = DiagnosticModel(network, task, mean=[0.5] * c, std=[0.2] * c).eval()
    x, k = torch.randint(0, 256, (b, c, h, w)) / 255, len(task.classes)
    findings = isinstance(getattr(task, "task", task), MultiLabel)
    y = torch.randint(0, 2, (b, k)).float() if findings else torch.randint(0, k, (b,))
    if findings:
        y[torch.rand(b, k) < 0.2] = torch.nan
    return model, x, y, draw


def require_inside(threat, x_adv, x):
    assert x_adv.shape == x.shape
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert (threat.distance(x_adv, x) <= threat.eps * (1 + 1e-5) + FLOAT32).all()


@pytest.fixture(scope="module", params=sorted(ATTACKS.methods))
def attack(request, tmp_path_factory):
    attack = ATTACKS.parse({"name": request.param, **CHEAP.get(request.param, {})})
    if not hasattr(attack, "fit"):
        return attack
    model, x, _, _ = situation(MultiClass(ABC), 3, 0, (6, 3, 9, 7))
    data = from_torch([(image, i % 3) for i, image in enumerate(x)], classes="abc", task="multiclass")
    model.size = (9, 7)
    return attack.fit(model, data, Linf(8 / 255), Draws(0, ()), out=tmp_path_factory.mktemp("weights") / "learned.safetensors")


@pytest.mark.parametrize("kind", THREATS)
@pytest.mark.parametrize("name", TASKS)
def test_budgets_hold_as_found_and_as_saved(name, kind, attack):
    task, outputs = TASKS[name]
    seed = hash((list(TASKS).index(name), THREATS.index(kind), sorted(ATTACKS.methods).index(ATTACKS.name(attack))))
    model, x, y, draw = situation(task, outputs, seed, (3, 3, 9, 7) if hasattr(attack, "fit") else None)
    eps = draw.choice((0.1, 0.5, 1, 2.5, 8)) / 255
    threat = threat_to(kind, eps, x, draw)
    measured_as = type(getattr(threat, "threat", threat))
    if (ATTACKS.name(attack), measured_as) in REFUSED:
        pytest.skip("refused: see test_a_threat_without_a_form_is_refused_by_name")
    x_adv = attack(model, x, y, threat, Draws(seed, tuple(map(str, range(len(x))))))
    require_inside(threat, x_adv, x)
    if threat.savable:
        saved = threat.snap(x_adv, x)
        require_inside(threat, saved, x)
        assert torch.allclose(saved * 255, (saved * 255).round(), atol=1e-4)
