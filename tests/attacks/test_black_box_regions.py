"""Black-box attacks keep to a region, and to an eps for each channel."""

import pytest
import torch
from minimal import DRAWS, B, images, linear

from robustdx.attacks.boundary import Boundary
from robustdx.attacks.hopskipjump import HopSkipJump
from robustdx.attacks.nes import NES
from robustdx.attacks.simba import SimBA
from robustdx.attacks.square import Square
from robustdx.tasks import MultiClass
from robustdx.threats import L2, Linf, Masked

REGION = (torch.rand(B, 1, 6, 6, generator=torch.Generator().manual_seed(3)) < 0.5).float()
ATTACKS = [
    Square(queries=100),
    SimBA(queries=100),
    SimBA(queries=100, basis="pixel"),
    NES(queries=100, samples=10),
    HopSkipJump(queries=200, samples=10),
    Boundary(queries=200),
]


@pytest.fixture
def victim():
    model, x = linear(MultiClass(tuple("abcd")), 4), images()
    model.network[1].bias.data -= model(torch.full_like(x[:1], 0.5)).detach()[0]
    return model.requires_grad_(False), x, model(x).argmax(1)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
@pytest.mark.parametrize("side", ["inside", "outside"])
@pytest.mark.parametrize("inner", [Linf(12 / 255), L2(1.0)], ids=str)
def test_pixels_of_the_other_side_never_change(victim, attack, side, inner):
    if isinstance(attack, Boundary) and isinstance(inner, Linf):
        pytest.skip("refused by name: see test_deciding")
    model, x, y = victim
    threat = Masked(inner, REGION, side)
    x_adv = attack(model, x, y, threat, DRAWS)
    closed = (REGION == 0) if side == "inside" else (REGION == 1)
    assert ((x_adv - x) * closed).abs().max() < 1e-6
    assert (inner.distance(x_adv, x) <= inner.eps * (1 + 1e-5)).all()
    assert model.task.fooled(model(x_adv), y).any()


@pytest.mark.parametrize("attack", ATTACKS[:5], ids=str)
def test_each_channel_keeps_to_its_eps(victim, attack):
    model, x, y = victim
    eps = torch.tensor([4, 8, 16]) / 255
    x_adv = attack(model, x, y, Linf.per_channel(tuple(eps.tolist())), DRAWS)
    assert ((x_adv - x).abs().amax((0, 2, 3)) <= eps * (1 + 1e-5)).all()
    assert model.task.fooled(model(x_adv), y).any()
