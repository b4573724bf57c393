"""A threat to one region: nothing else changes, and inside it the optimum of a linear model is found."""

import pytest
import torch
from torch import nn

from robustdx.attacks import BIM, FGSM, PGD
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel
from robustdx.tasks import Binary
from robustdx.threats import L2, Linf, Masked

B, H, W = 6, 8, 8
DRAWS = Draws(0, tuple(map(str, range(B))))
G = torch.Generator().manual_seed(0)
X = (torch.randint(80, 176, (B, 3, H, W), generator=G)) / 255
REGION = torch.rand(B, 1, H, W, generator=G) < 0.4


def linear():
    torch.manual_seed(0)
    model = DiagnosticModel(nn.Sequential(nn.Flatten(), nn.Linear(3 * H * W, 1)), Binary()).eval()
    with torch.no_grad():
        model.network[1].bias -= model(X).mean()  # margins from small to large: some images are beaten, some are not
    return model


@pytest.mark.parametrize("side", ["inside", "outside"])
@pytest.mark.parametrize("ball", [Linf(8 / 255), L2(0.6)], ids=str)
def test_nothing_changes_on_the_other_side(ball, side):
    threat, far = Masked(ball, REGION, side), X + DRAWS.normal(X)
    shut = ~REGION if side == "inside" else REGION
    for other in (threat.project(far, X), threat.sample(X, DRAWS), threat.snap(far, X), X + threat.steepest(far)):
        assert torch.equal(torch.where(shut, other, X), X)
        assert (other != X).any()


def test_under_linf_it_is_the_threat_itself_inside():
    ball, far = Linf(8 / 255), X + DRAWS.normal(X)
    assert torch.equal(Masked(ball, REGION).project(far, X), torch.where(REGION, ball.project(far, X), X))


@pytest.mark.parametrize("ball", [Linf(8 / 255), L2(0.6)], ids=str)
def test_a_random_member_goes_as_far_as_a_free_one(ball):
    region = REGION.clone()
    region[1] = False
    region[1, 0, 3, 3] = True
    distance = ball.distance(Masked(ball, region).sample(X, DRAWS), X)
    free = ball.distance(ball.sample(X, DRAWS), X)
    assert torch.allclose(distance[2:], free[2:], rtol=0.02)
    assert (distance <= ball.eps * (1 + 1e-5)).all()


@pytest.mark.parametrize("ball", [Linf(8 / 255), L2(0.3), Linf.per_channel((8 / 255, 4 / 255, 2 / 255))], ids=str)
@pytest.mark.parametrize("attack", [PGD(early_stop=False), PGD(early_stop=True), BIM(steps=20, step_size=0.25, early_stop=False)], ids=str)
def test_attacks_reach_the_optimum_inside_each_image_s_own_region(attack, ball):
    """On one logit: as far along the weights as the budget allows, but only where the mask is open."""
    model, threat = linear(), Masked(ball, REGION)
    y = model.task.decide(model(X))
    w = model.network[1].weight.view(1, 3, H, W) * (1 - 2 * y.float()).view(-1, 1, 1, 1)
    best = model.task.margin(model(X + ball.eps * ball.steepest(torch.where(REGION, w, 0.0))), y)
    found = attack(model, X, y, threat, DRAWS)
    assert torch.equal(torch.where(REGION, X, found), X)
    margin = model.task.margin(model(found), y)
    if attack.early_stop:
        assert torch.equal(margin < 0, best < 0)
        assert 0 < int((best < 0).sum()) < B, "some images leave the batch while others go on"
    else:
        assert torch.allclose(margin, best, atol=1e-4)


def test_one_step_is_exact_outside_too():
    model, threat = linear(), Masked(Linf(4 / 255), REGION, "outside")
    y = model.task.decide(model(X))
    found = FGSM()(model, X, y, threat, DRAWS)
    (grad,) = torch.autograd.grad(model.task.loss(model(X.requires_grad_()), y).sum(), X)
    X.requires_grad_(False)
    assert torch.allclose(found, X + 4 / 255 * torch.where(REGION, 0.0, grad.sign()), atol=1e-6)


def test_a_change_on_the_other_side_is_infinitely_far():
    threat = Masked(Linf(8 / 255), REGION)
    assert threat.distance(X + 1 / 255, X).isinf().all()
    assert threat.distance(threat.project(X + 1, X), X).isfinite().all()


def test_an_empty_region_leaves_the_image_alone():
    region = REGION.clone()
    region[2] = False
    model = linear()
    y = model.task.decide(model(X))
    for ball in (Linf(8 / 255), L2(0.6)):
        found = PGD(steps=5)(model, X, y, Masked(ball, region), DRAWS)
        assert torch.equal(found[2], X[2])
        assert not torch.equal(found[1], X[1])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Masked(Linf(0.1), REGION[:, 0]), r"shape \(B, 1, H, W\)"),
        (lambda: Masked(Linf(0.1), REGION.expand(-1, 3, -1, -1)), "one mask for each image"),
        (lambda: Masked(Linf(0.1), REGION * 255), "threshold"),
        (lambda: Masked(Linf(0.1), REGION, "around"), '"inside" or "outside"'),
        (lambda: Masked(Linf(0.1), REGION[:, :, 1:]).project(X, X), "6 regions of 7x8, the images are 6 of 8x8"),
        (lambda: Masked(Linf(0.1), REGION[:4]).project(X, X), "does not fit: it has 4 regions"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(make, words):
    with pytest.raises(PlanError, match=words):
        make()
