"""SimBA and NES: from scores, without gradients."""

import math

import pytest
import torch
from minimal import DRAWS, TASKS, B, as_decided, images, linear

from robustdx.attacks.loops.asking import slope_score
from robustdx.attacks.loops.climb import Front
from robustdx.attacks.nes import NES
from robustdx.attacks.simba import SimBA
from robustdx.errors import PlanError
from robustdx.models import Subject
from robustdx.tasks import Binary, MultiClass, MultiLabel
from robustdx.threats import L2, Linf

THREATS = [Linf(8 / 255), L2(0.7)]
SEARCHES = [SimBA(queries=120), SimBA(queries=120, basis="pixel"), NES(queries=120, samples=10)]


@pytest.mark.parametrize("name", ["one logit", "multi-class"])
@pytest.mark.parametrize(
    ("attack", "threat", "reached"),
    [
        (SimBA(queries=220, basis="pixel", step_size=1.0, early_stop=False), Linf(8 / 255), 1 - 1e-4),
        (SimBA(queries=1000, basis="pixel", step_size=0.1, early_stop=False), L2(0.7), 0.9),
        (SimBA(queries=1000, step_size=0.1, early_stop=False), L2(0.7), 0.9),
        (NES(queries=2000, samples=100, early_stop=False), Linf(8 / 255), 0.9),
        (NES(queries=2000, samples=100, early_stop=False), L2(0.7), 0.9),
    ],
    ids=str,
)
def test_on_a_linear_model_it_gets_near_the_optimum(name, attack, threat, reached):
    """SimBA over all pixels under Linf is exact: one of two queries a pixel decides its sign."""
    task, outputs = TASKS[name]
    model, x = linear(task, outputs), images()
    if outputs == 4:  # two classes in play
        model.network[1].bias.data[2:] = -200.0
    y, weight = as_decided(model, x), model.network[1].weight
    slope = weight[0] if outputs == 1 else weight[1] - weight[0]
    best = threat.eps * (slope.abs().sum() if isinstance(threat, Linf) else slope.norm())
    x_adv = attack(model, x, y, threat, DRAWS)
    fall = (task.margin(model(x), y) - task.margin(model(x_adv), y)) / best
    assert (fall <= 1 + 1e-4).all()
    assert fall.mean() > reached, fall


@pytest.mark.parametrize("attack", SEARCHES, ids=str)
@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_what_it_asks_is_what_it_may(attack, threat):
    model, x = linear(Binary(), 1), images()
    model.network[1].bias.data[:] = 1e4
    subject = Subject(model)
    attack(subject, x, torch.ones(B, dtype=torch.long), threat, DRAWS)
    (asked,) = set(subject.forwards.values())
    assert asked == (1 + 10 * 11 if isinstance(attack, NES) else 121)
    assert not subject.backwards


@pytest.mark.parametrize("attack", SEARCHES, ids=str)
@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_beaten_images_leave_and_the_answer_does_not_hang_on_the_company(attack, threat):
    task = MultiClass(tuple("abcd"))
    model, x = linear(task, 4), images()
    model.network[1].bias.data -= model(torch.full_like(x[:1], 0.5)).detach()[0]  # all lie near the boundary
    y, subject = as_decided(model, x), Subject(model)
    together = attack(subject, x, y, threat, DRAWS)
    beaten = task.fooled(model(together), y)
    assert beaten.any()
    assert (torch.tensor([subject.forwards[i] for i in DRAWS.ids])[beaten] < 123).all()
    alone = torch.cat([attack(model, x[i : i + 1], y[i : i + 1], threat, DRAWS.take([i])) for i in range(B)])
    assert torch.equal(task.decide(model(alone)), task.decide(model(together)))
    assert (alone - together).abs().median() < 1e-5


@pytest.mark.parametrize("basis", ["dct", "pixel"])
def test_the_directions_of_simba_are_an_orthogonal_basis_and_cosines_come_by_frequency(basis):
    x = torch.zeros(2, 2, 4, 6)
    attack = SimBA(basis=basis, band=1 / 3)
    order = attack._order(Front(torch.arange(2), x, torch.zeros(2), x, DRAWS.take([0, 1])), torch.ones_like(x, dtype=torch.bool))
    assert (order.sort(1).values == torch.arange(48)).all()
    assert not torch.equal(order[0], order[1])
    directions = attack._direction(torch.arange(48), x[:1].expand(48, -1, -1, -1)).flatten(1)
    gram = directions @ directions.T
    assert torch.allclose(gram, gram.diag().diag(), atol=1e-4)
    if basis == "dct":
        band = torch.maximum(order % 24 // 6, order % 6) // 2
        assert (band.diff(dim=1) >= 0).all()
        assert (directions[0] == directions[0, 0] * (torch.arange(48) < 24)).all(), "the first is a channel's brightness"


def test_the_slope_of_nes_is_the_gradient_in_the_mean():
    """On a linear model every pair of probes is exact along its direction; their mean lies within a few standard errors of it."""
    model, x = linear(Binary(), 1), images()
    y = as_decided(model, x)
    attack = NES(queries=5000, samples=4000, sigma=0.01)
    front = Front(torch.arange(B), x, y, x, DRAWS)

    class Asked:
        pass

    asking = Asked()
    asking.model = model
    with torch.no_grad():
        slope = attack._slope(asking, front, DRAWS)
    z = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(slope_score(model.task, model(z), y).sum(), z)
    cosine = torch.cosine_similarity(slope.flatten(1), grad.flatten(1))
    assert (cosine > math.sqrt(2000 / (2000 + 108)) - 0.01).all(), "d directions are unknown, n are seen: n / (n + d)"


@pytest.mark.parametrize("attack", SEARCHES, ids=str)
def test_several_findings_are_turned_one_after_another(attack):
    task, threat = MultiLabel(tuple("abc")), Linf(80 / 255)
    model, x = linear(task, 3), images()
    y = as_decided(model, x)
    x_adv = attack(model, x, y, threat, DRAWS)
    assert task.errors(model(x_adv), y).mean() > 0.4, "one of three is not all"


def test_a_network_that_is_sure_can_be_climbed_too():
    """Its cross-entropy is 0 in float32 all around; its margin is not."""
    model, x = linear(Binary(), 1), images()
    model.network[1].weight.data *= 100
    y = as_decided(model, x)
    assert model.task.loss(model(x), y).median() == 0
    x_adv = NES(queries=300, samples=20, early_stop=False)(model, x, y, Linf(4 / 255), DRAWS)
    assert (model.task.margin(model(x_adv), y) < model.task.margin(model(x), y)).all()


@pytest.mark.parametrize(
    ("attack", "settings"),
    [
        (SimBA, {"queries": 0}),
        (SimBA, {"band": 0.0}),
        (SimBA, {"step_size": 0.0}),
        (NES, {"samples": 7}),
        (NES, {"queries": 50}),
        (NES, {"sigma": 0.0}),
        (NES, {"momentum": 1.0}),
    ],
)
def test_settings_without_meaning_are_refused(attack, settings):
    with pytest.raises(PlanError):
        attack(**settings)
