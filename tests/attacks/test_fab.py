"""FAB: the exact projection onto a hyperplane inside [0, 1], and the nearest beaten image where it is known."""

import pytest
import torch
from minimal import DRAWS, SHAPE, TASKS, WIDE, B, as_decided, by_bisection, images, linear, nearest_boundary, small_network

from robustdx.attacks import FAB
from robustdx.attacks.loops.hyperplane import dot, onto
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, Subject
from robustdx.tasks import Binary, MultiClass
from robustdx.threats import L2, Linf

THREATS = pytest.mark.parametrize("threat", WIDE.values(), ids=list(WIDE))


@THREATS
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_the_projection_is_the_nearest_image_on_the_hyperplane(threat, share):
    """Against bisection in float64, where many pixels meet their edge; from both sides of the hyperplane."""
    g = torch.Generator().manual_seed(0)
    x = torch.rand(B, *SHAPE, generator=g).mul(1.4).sub(0.2).clamp(0, 1)
    w = torch.randn(B, *SHAPE, generator=g)
    most = dot(w, x - (w < 0).float())
    value = share * most
    for sign in (1, -1):
        z = onto(threat, x, sign * value, sign * w)
        assert z.min() >= 0
        assert z.max() <= 1
        assert torch.allclose(dot(w, x - z), value, rtol=1e-4)
        assert torch.allclose(threat.distance(z, x), by_bisection(threat, x, w, value).float(), rtol=1e-3)


@THREATS
def test_a_hyperplane_out_of_reach_gives_the_corner(threat):
    x, w = images(), torch.randn(B, *SHAPE, generator=torch.Generator().manual_seed(0))
    z = onto(threat, x, dot(w, x - (w < 0).float()) + 1, w)
    assert torch.allclose(z, (w < 0).float(), atol=1e-6)


@THREATS
@pytest.mark.parametrize("targets", [None, 3])
@pytest.mark.parametrize("name", list(TASKS))
def test_it_finds_the_nearest_boundary_of_a_linear_model(name, targets, threat):
    task, outputs = TASKS[name]
    model, x = linear(task, outputs), images()
    y = as_decided(model, x)
    x_adv = FAB(steps=5, targets=targets)(model, x, y, threat, DRAWS)
    assert (task.errors(model(x_adv), y) == 1).all()
    assert torch.allclose(threat.distance(x_adv, x), nearest_boundary(model, x, y, threat), rtol=1e-3)


@THREATS
def test_it_finds_the_nearest_boundary_where_pixels_meet_their_edge(threat):
    model, x = linear(Binary(), 1), images(-0.3, 1.3).clamp(0, 1)
    with torch.no_grad():
        model.network[1].bias += 2.0
    y = as_decided(model, x)
    x_adv = FAB(steps=10)(model, x, y, threat, DRAWS)
    w = model.network[1].weight.detach().view(1, *SHAPE) * (2 * y.float() - 1).view(-1, 1, 1, 1)
    best = by_bisection(threat, x, w, model.task.margin(model(x), y).detach())
    assert torch.allclose(threat.distance(x_adv, x), best.float(), rtol=2e-3)


def network_and_images():
    model = DiagnosticModel(small_network(), MultiClass(tuple("abcd"))).eval().requires_grad_(False)
    x = torch.rand(B, 3, 12, 12, generator=torch.Generator().manual_seed(3))
    return model, x, as_decided(model, x)


@THREATS
def test_more_restarts_and_steps_are_never_further(threat):
    model, x, y = network_and_images()
    attacks = FAB(steps=2), FAB(steps=2, restarts=3), FAB(steps=12, restarts=3)
    few, more, most = (threat.distance(attack(model, x, y, threat, DRAWS), x) for attack in attacks)
    assert (more <= few * (1 + 1e-4)).all()
    assert (most <= more * (1 + 1e-4)).all()
    assert (most < few * 0.999).any()


@pytest.mark.parametrize("settings", [{}, {"targets": 3}, {"restarts": 2}], ids=str)
def test_passes_are_as_the_docstring_says(settings):
    model, x, y = network_and_images()
    subject = Subject(model)
    FAB(steps=10, **settings)(subject, x, y, L2(50.0), DRAWS)
    walks = settings.get("targets", 1) * settings.get("restarts", 1)
    first = 1 if "targets" in settings else 0
    assert set(subject.forwards.values()) == {walks * 11 + 5 + first}
    assert set(subject.backwards.values()) == {walks * 10 + 4 if "targets" in settings else walks * 40}


def test_with_early_stop_beaten_images_leave_and_hold_as_saved():
    model, x, y = network_and_images()
    x = (x * 255).round() / 255
    subject, threat = Subject(model), Linf(8 / 255)
    x_adv = FAB(steps=20, targets=3, early_stop=True)(subject, x, y, threat, DRAWS)
    beaten = model.task.fooled(model(threat.snap(x_adv, x)), y)
    assert beaten.any()
    passes = torch.tensor([subject.backwards[i] for i in DRAWS.ids])
    assert (passes[beaten] < 60).all()
    assert torch.equal(threat.snap(x_adv, x)[beaten], x_adv[beaten])


@pytest.mark.parametrize("settings", [{"targets": 0}, {"eta": 0.5}, {"beta": 1.0}, {"steps": 0}])
def test_settings_without_a_meaning_are_refused(settings):
    with pytest.raises(PlanError, match=next(iter(settings))):
        FAB(**settings)
