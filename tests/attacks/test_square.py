"""Square attack: budgets, identities, and the known optimum of linear models."""

import pytest
import torch
from minimal import DRAWS, TASKS, B, as_decided, images, linear

from robustdx.attacks import Square
from robustdx.attacks.loops.squares import Bumps, Corners, bump, last, side, window
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, Subject
from robustdx.tasks import Binary, MultiClass, MultiLabel
from robustdx.threats import L2, Linf

THREATS = [Linf(8 / 255), L2(0.7)]


@pytest.mark.parametrize("name", ["one logit", "multi-class"])
@pytest.mark.parametrize(("threat", "queries", "reached"), [(Linf(8 / 255), 2000, 0.95), (L2(0.7), 600, 0.5)], ids=str)
def test_on_a_linear_model_it_gets_near_the_optimum(name, threat, queries, reached):
    """One decision: the margin can fall by eps times the dual norm, and random search finds most of that with enough queries."""
    task, outputs = TASKS[name]
    model, x = linear(task, outputs), images()
    y = as_decided(model, x)
    if outputs == 4:  # two classes in play
        model.network[1].bias.data[2:] = -200.0
        y = as_decided(model, x)
    weight = model.network[1].weight
    slope = weight[0] if outputs == 1 else weight[1] - weight[0]
    best = threat.eps * (slope.abs().sum() if isinstance(threat, Linf) else slope.norm())
    x_adv = Square(queries=queries, early_stop=False)(model, x, y, threat, DRAWS)
    fall = (task.margin(model(x), y) - task.margin(model(x_adv), y)) / best
    assert (fall <= 1 + 1e-4).all()
    assert fall.mean() > reached, fall


@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_what_it_asks_is_what_it_may(threat):
    """With nothing to find, exactly one look at the image and `queries` for each start."""
    model, x = linear(Binary(), 1), images()
    model.network[1].bias.data[:] = 1e4
    subject = Subject(model)
    Square(queries=20, restarts=3)(subject, x, torch.ones(B, dtype=torch.long), threat, DRAWS)
    assert set(subject.forwards.values()) == {1 + 3 * 20}
    assert not subject.backwards


@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_beaten_images_leave_and_are_asked_no_more(threat):
    model, x = network(MultiClass(tuple("abcd"))), images()
    subject, y = Subject(model), as_decided(model, x)
    x_adv = Square(queries=200)(subject, x, y, threat, DRAWS)
    beaten = model.task.fooled(model(x_adv), y)
    asked = torch.tensor([subject.forwards[i] for i in DRAWS.ids])
    assert beaten.any()
    assert (asked[beaten] < 201).all()
    assert (asked[~beaten] >= 201).all()


@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_the_answer_on_one_image_does_not_hang_on_its_company(threat):
    """Windows, signs and survivors belong to the image: alone, in a batch, or in another order."""
    model, x = network(MultiClass(tuple("abcd"))), images()
    y = as_decided(model, x)
    together = Square(queries=150)(model, x, y, threat, DRAWS)
    turned = Square(queries=150)(model, x.flip(0), y.flip(0), threat, DRAWS.take(range(B - 1, -1, -1))).flip(0)
    alone = torch.cat([Square(queries=150)(model, x[i : i + 1], y[i : i + 1], threat, DRAWS.take([i])) for i in range(B)])
    assert torch.allclose(together, turned, atol=1e-6)
    assert torch.allclose(together, alone, atol=1e-6)


def test_with_several_findings_more_wrong_ones_count_first():
    """More than the first finding falls, though one finding's margin alone could be lowered further."""
    task = MultiLabel(tuple("abc"))
    model, x = linear(task, 3), images()
    y = as_decided(model, x)
    weight = model.network[1].weight.detach()
    weight *= torch.arange(108).div(36).long() == torch.arange(3)[:, None]  # each finding has a channel of its own
    model.network[1].bias.data.copy_(torch.tensor([0.1, 0.2, 0.3]) * (2 * y[0] - 1))
    y = as_decided(model, x)
    strong = Linf(60 / 255)
    x_adv = Square(queries=400, early_stop=False)(model, x, y, strong, DRAWS)
    possible = (task.margins(model(x), y) < strong.eps * weight.abs().sum(1)).float().mean(1)
    assert task.errors(model(x_adv), y).mean() > 0.9 * possible.mean()


def test_squares_shrink_as_the_schedule_says():
    attack = Square(queries=10_000)
    shares = [attack.share(t) / attack.p_init for t in (1, 10, 11, 50, 51, 201, 501, 1001, 2001, 4001, 6001, 8001, 9999)]
    assert shares == [1, 1, 1 / 2, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256, 1 / 512, 1 / 512]
    assert Square(queries=1000).share(21) == attack.share(210)


@pytest.mark.parametrize("squares", [Corners, Bumps])
def test_what_is_taken_back_was_never_there(squares):
    threat = Linf(0.1) if squares is Corners else L2(1.0)
    x = images(0.0, 1.0)
    moves = squares(threat, x)
    x_t = moves.start(DRAWS)
    before = x_t.clone()
    refused = torch.arange(B) % 2 == 0
    for t in range(5):
        u = DRAWS.fork(t).uniform(0, 1, like=torch.empty(B, moves.numbers))
        moves.put(x_t, u, 0.3)
        assert (x_t != before).flatten(1).any(1).all(), "a step always shows another image"
        moves.take_back(x_t, refused)
    assert torch.equal(x_t[refused], before[refused])
    assert (x_t[~refused] != before[~refused]).flatten(1).any(1).all()


def test_under_l2_the_budget_is_spent_and_kept_however_often_bumps_move():
    x, threat = images(0.0, 1.0), L2(1.5)
    moves = Bumps(threat, x)
    x_t = moves.start(DRAWS)
    for t in range(60):
        moves.put(x_t, DRAWS.fork(t).uniform(0, 1, like=torch.empty(B, moves.numbers)), 0.2)
    distance = threat.distance(x_t, x)
    assert torch.allclose(moves.energy, distance**2, atol=1e-4)
    assert (distance <= threat.eps * (1 + 1e-5)).all()
    assert (distance > 0.6 * threat.eps).all(), "what 0 and 1 cut off is given back to the budget"


def test_windows_reach_every_corner_and_stay_inside():
    x = torch.zeros(4, 1, 5, 7)
    u = torch.tensor([[0.0, 0.0], [1 - 2**-24] * 2, [0.0, 1 - 2**-24], [0.5, 0.5]])
    last(x)[window(x, u, 2)] = 1.0
    assert (x.sum((1, 2, 3)) == 4).all()
    assert x[0, 0, 0, 0] == x[1, 0, 4, 6] == x[2, 0, 0, 6] == 1
    assert side(x, 1.0, 1) == 5
    assert side(x, 1e-6, 3) == 3


@pytest.mark.parametrize("s", [1, 2, 3, 5, 8])
def test_a_bump_has_length_one_and_two_signs(s):
    shape = bump(s)
    assert shape.shape == (s, s)
    assert shape.norm() == pytest.approx(1, abs=1e-6)
    assert s == 1 or ((shape[: s // 2] > 0).all() and (shape[s // 2 :] < 0).all())


@pytest.mark.parametrize("shape", [(1, 3, 3), (3, 1, 5), (1, 2, 9), (3, 11, 4)])
@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_images_of_any_shape(shape, threat):
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    model = DiagnosticModel(
        torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(x[0].numel(), 1)), Binary(), mean=(0.0,) * shape[0], std=(1.0,) * shape[0]
    )
    x_adv = Square(queries=40)(model.eval(), x, torch.tensor([0, 1]), threat, Draws(0, ("a", "b")))
    assert (threat.distance(x_adv, x) <= threat.eps * (1 + 1e-5)).all()


@pytest.mark.parametrize("settings", [{"queries": 0}, {"restarts": 0}, {"p_init": 0.0}, {"p_init": 1.5}])
def test_settings_without_meaning_are_refused(settings):
    with pytest.raises(PlanError):
        Square(**settings)


def test_a_rough_search_ends_in_float32():
    """What bfloat16 calls beaten counts only if float32 agrees."""
    model, x = network(MultiClass(tuple("abcd"))), images()
    y = as_decided(model, x)
    subject, threat = Subject(model, model.in_precision(torch.bfloat16)), Linf(4 / 255)
    rough = model.task.fooled(model(Square(queries=150)(subject, x, y, threat, DRAWS)), y)
    exact = model.task.fooled(model(Square(queries=150)(model, x, y, threat, DRAWS)), y)
    assert subject.rough
    assert rough.sum() >= exact.sum() - 1


def network(task):
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, len(task.classes))
    return DiagnosticModel(torch.nn.Sequential(*layers), task).eval().requires_grad_(False)
