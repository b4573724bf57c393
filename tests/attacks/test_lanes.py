"""Searches that go side by side find what they find one after the other, in fewer calls."""

import pytest
import torch
from torch import nn

from robustdx.attacks import APGD, ATTACKS, FAB, APGDTargeted
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, Subject
from robustdx.tasks import MultiClass
from robustdx.threats import L2, Linf, Masked

B, K = 6, 5
DRAWS = Draws(0, tuple("abcdef"))


class Network(nn.Module):
    """Smooth, with rivals that are won at different distances; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 64, K))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return 6 * self.body(x)


def setting():
    model = DiagnosticModel(Network(), MultiClass(tuple("abcde")), size=(8, 8)).eval().requires_grad_(False)
    x = torch.rand(B, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return model, x, model(x).argmax(1)


def found(attack, threat, room):
    """The images, the calls and the passes, where so many images fit."""
    model, x, y = setting()
    subject = Subject(model)
    subject.room = room
    x_adv = attack(subject, x, y, threat, DRAWS)
    return x_adv, model.network.calls, sum(subject.forwards.values()), (model(x_adv).argmax(1) != y).tolist()


SEARCHES = [
    APGDTargeted(steps=12),
    APGDTargeted(steps=12, restarts=2),
    APGDTargeted(steps=8, early_stop=False),
    APGD(steps=12, restarts=4),
    FAB(targets=4, steps=12),
    FAB(targets=4, steps=12, early_stop=True),
    FAB(targets=3, steps=8, restarts=2),
]


@pytest.mark.parametrize("attack", SEARCHES, ids=str)
@pytest.mark.parametrize("eps", [0.01, 0.03, 0.1])
def test_side_by_side_and_one_after_the_other_find_the_same(attack, eps):
    for threat in (Linf(eps), L2(8 * eps)):
        alone, some, many = (found(attack, threat, room) for room in (0, 9, 1000))
        assert alone[3] == some[3] == many[3]
        for other in (some, many):
            assert ((alone[0] - other[0]).abs() > 1e-4).float().mean() < 0.01, "more than the last bit of another batch"
        assert many[1] <= some[1] <= alone[1]


@pytest.mark.parametrize("attack", [APGDTargeted(steps=20), FAB(targets=4, steps=20), APGD(steps=20, restarts=4)], ids=str)
def test_images_that_stand_cost_the_same_passes_in_fewer_calls(attack):
    alone, many = found(attack, Linf(1e-4), 0), found(attack, Linf(1e-4), 1000)
    assert alone[2] == many[2]
    assert many[1] < 0.6 * alone[1]


def test_the_first_rival_is_tried_alone():
    """Images that fall at all mostly fall to it: nothing is spent on the others."""
    model, x, y = setting()
    subject = Subject(model)
    subject.room = 1000
    APGDTargeted(steps=50)(subject, x, y, Linf(0.5), DRAWS)
    assert max(subject.forwards.values()) < 50


def test_a_region_follows_its_image():
    model, x, y = setting()
    region = torch.rand(B, 1, 8, 8, generator=torch.Generator().manual_seed(2)) > 0.5
    threat, subject = Masked(Linf(0.05), region), Subject(model)
    subject.room = 1000
    members = [{"name": "apgd", "steps": 4}, {"name": "apgd-targeted", "steps": 6}, {"name": "fab", "steps": 5, "early_stop": True}]
    cascade = ATTACKS.parse({"name": "cascade", "members": members})
    for attack in (APGDTargeted(steps=10), FAB(targets=4, steps=10, early_stop=True), cascade):
        x_adv = attack(subject, x, y, threat, DRAWS)
        assert ((x_adv != x) & ~region).sum() == 0
