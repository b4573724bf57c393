"""Step by step the same arithmetic: FGSM, PGD without a random start, projections and distances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from peers.pgd import PEERS, art_classifier
from robustdx.attacks import FGSM, PGD
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiClass
from robustdx.threats import L2, Linf, Threat

B = 16
DRAWS = Draws(0, tuple(map(str, range(B))))
THREATS = [Linf(1 / 255), Linf(8 / 255), L2(0.5), L2(2.0)]


@pytest.fixture(scope="module")
def model() -> DiagnosticModel:
    """Smooth, so that the sign of a gradient does not hang on the last bit."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Softplus(), nn.AvgPool2d(2), nn.Conv2d(8, 8, 3), nn.Softplus(), nn.Flatten(), nn.LazyLinear(4)
    )
    network(torch.rand(1, 3, 24, 24))
    return DiagnosticModel(network, MultiClass(tuple("abcd")), mean=(0.5, 0.4, 0.6), std=(0.2, 0.3, 0.25)).eval().requires_grad_(False)


@pytest.fixture
def x() -> Tensor:
    """The whole range of an 8-bit image, with many pixels at 0 and 1."""
    g = torch.Generator().manual_seed(0)
    return torch.randint(-60, 316, (B, 3, 24, 24), generator=g).clamp(0, 255) / 255


@pytest.fixture
def y() -> Tensor:
    return torch.arange(B) % 4


def test_fgsm_equals_torchattacks(model, x, y):
    import torchattacks

    assert torch.allclose(FGSM()(model, x, y, Linf(8 / 255), DRAWS), torchattacks.FGSM(model, eps=8 / 255)(x, y), atol=1e-6, rtol=0)


def test_fgsm_equals_foolboxs(model, x, y):
    import foolbox

    theirs = foolbox.attacks.FGSM()(foolbox.PyTorchModel(model, bounds=(0, 1)), x, y, epsilons=8 / 255)[1]
    assert torch.allclose(FGSM()(model, x, y, Linf(8 / 255), DRAWS), theirs, atol=1e-6, rtol=0)


def test_fgsm_equals_arts(model, x, y):
    from art.attacks.evasion import FastGradientMethod

    theirs = FastGradientMethod(art_classifier(model, x), eps=8 / 255, batch_size=B).generate(x.numpy(), y.numpy())
    assert torch.allclose(FGSM()(model, x, y, Linf(8 / 255), DRAWS), torch.from_numpy(theirs), atol=1e-6, rtol=0)


@pytest.mark.parametrize("peer", ["foolbox", "art", "torchattacks"])
def test_ten_steps_from_the_image_are_the_same_ten_steps(model, x, y, peer):
    """Linf; where a gradient is 0 to the last bit, its sign may differ."""
    threat = Linf(8 / 255)
    attack = PGD(steps=10, step_size=0.25, random_start=False, early_stop=False, keep="last")
    ours, theirs = attack(model, x, y, threat, DRAWS), PEERS[peer](model, x, y, threat, 10, 0.25, False)
    assert ((ours - theirs).abs() <= 1e-6).float().mean() > 0.999


@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_distances_are_foolboxs(x, threat):
    from foolbox import distances

    x_adv = (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    theirs = (distances.linf if isinstance(threat, Linf) else distances.l2)(x, x_adv)
    assert torch.allclose(threat.distance(x_adv, x), theirs, rtol=1e-6)


@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_away_from_0_and_1_the_projection_is_theirs(threat):
    g = torch.Generator().manual_seed(2)
    x = 0.4 + 0.2 * torch.rand(B, 3, 24, 24, generator=g)
    x_adv = x + 0.05 * torch.randn(x.shape, generator=g)
    ours = threat.project(x_adv, x)
    for theirs in _projections(x_adv, x, threat):
        assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_at_0_and_1_the_projection_is_theirs_or_nearer(x, threat):
    """Linf: equal. L2: they clip after projecting, which wastes budget; ours is the nearest image that is allowed."""
    x_adv = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    ours = threat.project(x_adv, x)
    for theirs in _projections(x_adv, x, threat):
        theirs = theirs.clamp(0, 1)
        if isinstance(threat, Linf):
            assert torch.allclose(ours, theirs, atol=1e-6)
        else:
            assert ((ours - x_adv).flatten(1).norm(dim=1) <= (theirs - x_adv).flatten(1).norm(dim=1) + 1e-5).all()
            assert (threat.distance(ours, x) <= threat.eps * (1 + 1e-5)).all()


def _projections(x_adv: Tensor, x: Tensor, threat: Threat) -> list[Tensor]:
    """What foolbox and ART make of it."""
    import eagerpy as ep
    import foolbox
    from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch import ProjectedGradientDescentPyTorch

    attack = foolbox.attacks.LinfPGD() if isinstance(threat, Linf) else foolbox.attacks.L2PGD()
    norm = np.inf if isinstance(threat, Linf) else 2
    return [
        attack.project(ep.astensor(x_adv), ep.astensor(x), threat.eps).raw,
        x + ProjectedGradientDescentPyTorch._projection(x_adv - x, threat.eps, norm),
    ]
