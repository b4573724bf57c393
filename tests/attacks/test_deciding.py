"""HopSkipJump and Boundary: by decisions alone to the nearest wrong image; on linear models that is known."""

import pytest
import torch
from minimal import DRAWS, TASKS, WIDE, B, as_decided, images, linear, nearest_boundary

from robustdx.attacks.boundary import Boundary, Pace
from robustdx.attacks.hopskipjump import HopSkipJump
from robustdx.attacks.loops.climb import Front
from robustdx.attacks.loops.deciding import STARTS, Deciding, random_images
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import Subject
from robustdx.models.oracle import Oracle
from robustdx.tasks import Binary, MultiClass, MultiLabel
from robustdx.threats import L2, Linf

WALKS = [HopSkipJump(queries=150, samples=20), Boundary(queries=150)]


def balanced(task, outputs):
    """Random images lie on both sides of the boundary, and the labels are as decided."""
    model, x = linear(task, outputs), images()
    model.network[1].bias.data -= model(torch.full_like(x[:1], 0.5)).detach()[0]
    return model, x, as_decided(model, x)


@pytest.mark.parametrize("name", ["one logit", "two outputs"])
@pytest.mark.parametrize(
    ("attack", "norm", "within"),
    [
        (HopSkipJump(queries=4000, early_stop=False), "l2", 1.05),
        (HopSkipJump(queries=4000, early_stop=False), "linf", 1.1),
        (Boundary(queries=1000, early_stop=False), "l2", 2.0),
    ],
    ids=str,
)
def test_on_a_linear_model_it_gets_near_the_nearest_wrong_image(name, attack, norm, within):
    model, x, y = balanced(*TASKS[name])
    best = nearest_boundary(model, x, y, WIDE[norm])
    x_adv = attack(Oracle(model, reveals="labels"), x, y, WIDE[norm], DRAWS)
    assert model.task.fooled(model(x_adv), y).all()
    ratio = WIDE[norm].distance(x_adv, x) / best
    assert (ratio >= 1 - 1e-4).all()
    assert ratio.median() < within, ratio


@pytest.mark.parametrize("attack", WALKS, ids=str)
def test_an_answer_outside_the_threat_is_none(attack):
    """A threat that no wrong image fits into: the answer lies inside it all the same, and is right."""
    model, x, y = balanced(Binary(), 1)
    threat = L2(0.3 * float(nearest_boundary(model, x, y, L2(1.0)).min()))
    x_adv = attack(model, x, y, threat, DRAWS)
    assert not model.task.fooled(model(x_adv), y).any()
    assert (threat.distance(x_adv, x) <= threat.eps * (1 + 1e-5)).all()


@pytest.mark.parametrize("attack", WALKS, ids=str)
def test_with_early_stop_what_is_beaten_is_beaten_as_saved_and_asked_no_more(attack):
    model, x, y = balanced(MultiClass(tuple("abcd")), 4)
    x = (x * 255).round() / 255
    subject, threat = Subject(model), L2(1.5)
    x_adv = attack(subject, x, y, threat, DRAWS)
    beaten = model.task.fooled(model(x_adv), y)
    assert beaten.any()
    assert model.task.fooled(model(threat.snap(x_adv, x)), y)[beaten].all()
    asked = torch.tensor([subject.forwards[i] for i in DRAWS.ids])
    assert (asked[beaten] <= 150).all()
    assert (asked <= 151).all()
    assert not subject.backwards


@pytest.mark.parametrize("attack", WALKS, ids=str)
def test_the_answer_on_one_image_does_not_hang_on_its_company(attack):
    model, x, y = balanced(MultiClass(tuple("abcd")), 4)
    together = attack(model, x, y, L2(1.0), DRAWS)
    alone = torch.cat([attack(model, x[i : i + 1], y[i : i + 1], L2(1.0), DRAWS.take([i])) for i in range(B)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_what_is_wrong_already_is_left_alone_and_what_has_no_wrong_image_is_given_up():
    model, x, y = balanced(Binary(), 1)
    subject, attack = Subject(model), HopSkipJump(queries=500)
    assert torch.equal(attack(subject, x, 1 - y, L2(1.0), DRAWS), x)
    assert set(subject.forwards.values()) == {1}
    model.network[1].bias.data[:] = 1e4
    subject = Subject(model)
    assert torch.equal(attack(subject, x, torch.ones_like(y), L2(1.0), DRAWS), x)
    assert set(subject.forwards.values()) == {1 + STARTS}


def test_of_several_findings_as_many_are_turned_as_in_the_start():
    """Wrong is what has as many wrong findings as the worst of the random images; the answer has as many."""
    model, x, y = balanced(MultiLabel(tuple("abc")), 3)
    deciding = Deciding(model, x, y, L2(50.0), queries=600, early_stop=False)
    deciding.start(DRAWS.fork("start"))
    x_adv = HopSkipJump(queries=600, samples=20, early_stop=False)(model, x, y, L2(50.0), DRAWS)
    assert (model.task.errors(model(x_adv), y) >= deciding.level).all()
    assert deciding.level.mean() > 0.6


def test_bisection_ends_at_the_boundary_on_the_wrong_side():
    model, x, y = balanced(Binary(), 1)
    for threat in (L2(50.0), Linf(1.0)):
        deciding = Deciding(model, x, y, threat, queries=500, early_stop=False)
        front = deciding.start(DRAWS)
        front.x_t = deciding.bisect(front, 18)
        logits = model(front.x_t)
        assert model.task.fooled(logits, front.y).all()
        assert logits.abs().max() < 1e-3


@pytest.mark.parametrize("grid", [0, 1, 4])
def test_random_images_come_in_cells(grid):
    x = torch.zeros(2, 3, 8, 12)
    smooth, sharp = (random_images(x, grid, Draws(0, ("a", "b")), sharp=s) for s in (False, True))
    assert smooth.shape == sharp.shape == x.shape
    assert set(sharp.unique().tolist()) <= {0.0, 1.0}
    assert len(smooth[0, 0].unique()) == (96 if grid == 0 else grid**2)


def test_a_pace_follows_the_share_of_successes():
    pace = Pace(torch.full((3,), 0.1), window=4, low=0.2, high=0.5)
    x = torch.zeros(2, 1, 1, 1)
    front = Front(torch.tensor([0, 2]), x, torch.zeros(2), x, Draws(0, ("a", "c")))
    for _ in range(4):
        pace.saw(front, torch.tensor([True, False]))
    assert pace.size.tolist() == pytest.approx([0.15, 0.1, 0.1 / 1.5])


def test_boundary_sends_linf_elsewhere():
    model, x, y = balanced(Binary(), 1)
    with pytest.raises(PlanError, match='l2 only, got Linf: take "hopskipjump"'):
        Boundary()(model, x, y, Linf(0.1), DRAWS)


@pytest.mark.parametrize(
    ("attack", "settings"),
    [
        (HopSkipJump, {"queries": 1}),
        (HopSkipJump, {"samples": 1}),
        (Boundary, {"queries": 0}),
        (Boundary, {"nearer": 1.0}),
        (Boundary, {"sideways": 0.0}),
    ],
)
def test_settings_without_meaning_are_refused(attack, settings):
    with pytest.raises(PlanError):
        attack(**settings)
