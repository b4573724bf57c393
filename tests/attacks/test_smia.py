"""SMIA is BIM without its second term, and with it what its equations say."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from robustdx.attacks import ATTACKS, BIM, PGD, SMIA
from robustdx.attacks.loops.smoothing import gaussian, smoothed
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import Subject
from robustdx.models.oracle import Oracle
from robustdx.tasks import Aimed, Binary, Class, Targeted
from robustdx.threats import L2, Linf
from tests.attacks.test_closed_form import linear, optimum_of_one_logit
from tests.attacks.walking import (
    DRAWS,
    LINF,
    SIDE,
    TASK,
    THREATS,
    B,
    assert_same,
    blurred,
    by_task,
    by_threat,
    images,
    labels,
    model_for,
    uphill,
)

FORMS = [(probe, form) for probe in ("perturbation", "gradient") for form in ("soft", "hard")]
by_form = pytest.mark.parametrize(("probe", "form"), FORMS)


@pytest.fixture
def model():
    return model_for(TASK, 3)


@pytest.fixture
def x():
    return images()


@pytest.fixture
def y():
    return labels(TASK)


def away(model, y, u, form, a1, a2):
    """J at z, from the paper: away from y, near to what the smoothed image u is called."""
    told = None if u is None else model(u.clamp(0, 1))

    def objective(z):
        outputs = model(z)
        j = a1 * F.cross_entropy(outputs, y, reduction="none")
        if told is None:
            return j
        if form == "hard":
            return j - a2 * F.cross_entropy(outputs, told.argmax(1), reduction="none")
        p = told.softmax(1)
        return j - a2 * (p * (p.log() - outputs.log_softmax(1))).sum(1)

    return objective


def walked(model, x, y, probe, form, *, a1, a2, kernel, sigma, steps, step_size):
    """Section 3 of the paper (papers.md 3.5), by hand, under Linf."""
    step, way, u = step_size * LINF.eps, [x], None
    for t in range(steps):
        x_t = way[-1]
        if t and probe == "perturbation":
            u = x + blurred(x_t - x, kernel, sigma)
        sign = uphill(away(model, y, u, form, a1, a2), x_t).sign()
        if probe == "gradient":
            u = x_t + step * blurred(sign, kernel, sigma)
        way.append((x_t + step * sign).clamp(x - LINF.eps, x + LINF.eps).clamp(0, 1))
    return torch.stack(way)


@by_form
@pytest.mark.parametrize("a2", [0.5, 2.0])
def test_by_hand(model, x, y, probe, form, a2):
    settings = {"a1": 1.5, "a2": a2, "kernel": 5, "sigma": 1.3, "steps": 5, "step_size": 0.4}
    attack = SMIA(probe=probe, stabilise=form, **settings)
    found, expected = torch.stack(list(attack.path(model, x, y, LINF, DRAWS))), walked(model, x, y, probe, form, **settings)
    assert_same(found, expected)
    bim = torch.stack(list(BIM(steps=5, step_size=0.4).path(model, x, y, LINF, DRAWS)))
    assert torch.equal(found[:2], bim[:2]), "the first step knows no second term"
    assert ((found - bim).abs() > 1e-5).any(), "the second term must turn something, or nothing was tested"


@by_task
@by_threat
def test_without_the_second_term_it_is_bim(task, outputs, threat):
    model, x, y = model_for(task, outputs), images(), labels(task)
    for stop in (True, False):
        bim = BIM(steps=5, early_stop=stop)(model, x, y, threat, DRAWS)
        for probe, form in FORMS:
            smia = SMIA(steps=5, a2=0.0, probe=probe, stabilise=form, early_stop=stop)
            assert torch.equal(smia(model, x, y, threat, DRAWS), bim)
        assert torch.equal(SMIA(steps=5, a1=2.0, a2=0.0, early_stop=stop)(model, x, y, threat, DRAWS), bim)


def test_from_a_random_start_without_the_second_term_it_is_pgd(model, x, y):
    smia = SMIA(steps=5, step_size=0.3, a2=0.0, random_start=True)
    assert torch.equal(smia(model, x, y, LINF, DRAWS), PGD(steps=5, step_size=0.3)(model, x, y, LINF, DRAWS))


def test_the_released_preset_is_bim_to_the_last_step(model, x, y):
    released = ATTACKS.parse("smia-released")
    assert released == SMIA(a2=0.0, stabilise="hard", probe="gradient", early_stop=False, keep="last")
    bim = list(BIM().path(model, x, y, LINF, DRAWS))
    assert torch.equal(released(model, x, y, LINF, DRAWS), bim[-1])


@by_form
@by_task
@by_threat
def test_it_stays_inside_for_every_task(task, outputs, threat, probe, form):
    model, x, y = model_for(task, outputs), images(), labels(task)
    for words in ({}, {"keep": "last", "early_stop": False, "random_start": True}):
        x_adv = SMIA(steps=4, probe=probe, stabilise=form, **words)(model, x, y, threat, DRAWS)
        assert x_adv.min() >= 0
        assert x_adv.max() <= 1
        assert (threat.distance(x_adv, x) <= threat.eps * (1 + 1e-5)).all()


@by_form
@pytest.mark.parametrize("threat", [THREATS["linf"], THREATS["masked l2"]], ids=["linf", "masked l2"])
def test_a_batch_equals_its_singles_also_when_some_leave(probe, form, threat):
    model, x = model_for(TASK, 3), images()
    y, subject = model(x).argmax(1), Subject(model)
    attack = SMIA(steps=6, probe=probe, stabilise=form)
    together = attack(subject, x, y, threat, DRAWS)
    for i in range(B):
        at = torch.tensor([i])
        assert_same(attack(model, x[at], y[at], threat.take(at), DRAWS.take([i])), together[at])


@pytest.mark.parametrize("aim", [Targeted(TASK), Aimed(TASK, Class("b"))], ids=["target", "goal"])
@by_form
def test_the_second_term_is_about_the_answer_and_not_about_the_aim(model, x, probe, form, aim):
    """Whatever the adversary is after, f(x_t) is held near to f(u_t): with an aim, only the first term turns."""
    y = torch.full((B,), 1) if isinstance(aim, Targeted) else torch.zeros(B, dtype=torch.long)
    aimed = model.with_task(aim)
    _, first, second = SMIA(steps=2, step_size=0.4, a2=3.0, probe=probe, stabilise=form).path(aimed, x, y, LINF, DRAWS)
    step = 0.4 * LINF.eps
    sign = uphill(lambda z: aim.loss(model(z), y), x).sign()
    u = (x + blurred(first - x, 3, 1.0) if probe == "perturbation" else x + step * blurred(sign, 3, 1.0)).clamp(0, 1)
    told = model(u)

    def objective(z):
        near = TASK.divergence(model(z), told) if form == "soft" else TASK.loss(model(z), told.argmax(1))
        return aim.loss(model(z), y) - 3.0 * near

    expected = first + step * uphill(objective, first).sign()
    assert_same(second, expected.clamp(x - LINF.eps, x + LINF.eps).clamp(0, 1))


@pytest.mark.parametrize("threat", [Linf(8 / 255), L2(0.5)], ids=str)
@by_form
def test_on_a_linear_model_it_reaches_the_optimum(probe, form, threat):
    """There the smoothed image only shortens the way: with a second term that does not outweigh the first, the end is the same."""
    task = Binary()
    model = linear(task, 1)
    x = 0.3 + 0.4 * torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    y, draws = torch.arange(6) % 2, Draws(0, tuple(map(str, range(6))))
    attack = SMIA(steps=20, step_size=0.25, a2=0.05, probe=probe, stabilise=form, early_stop=False)
    best = task.loss(model(optimum_of_one_logit(model, x, y, threat)), y)
    assert torch.allclose(task.loss(model(attack(model, x, y, threat, draws)), y), best, atol=1e-3)


def test_a_heavy_second_term_holds_the_prediction_nearer_to_the_smoothed_one(model, x):
    y = model(x).argmax(1)

    def strayed(a2):
        x_adv = SMIA(steps=8, a2=a2, early_stop=False, keep="last")(model, x, y, LINF, DRAWS)
        u = (x + smoothed(x_adv - x, 3, 1.0)).clamp(0, 1)
        return TASK.divergence(model(x_adv), model(u)).mean()

    assert strayed(10.0) < strayed(1.0) < strayed(0.0)


@pytest.mark.parametrize(("a2", "forwards"), [(0.0, 4 + 1), (1.0, 4 + 3 + 1)])
@by_form
def test_passes_are_those_of_the_docstring(model, x, y, probe, form, a2, forwards):
    attack = SMIA(steps=4, a2=a2, probe=probe, stabilise=form, early_stop=False)
    for made, expected in ((attack, forwards), (replace(attack, keep="last"), forwards - 1)):
        subject = Subject(model)
        made(subject, x, y, LINF, DRAWS)
        assert subject.forwards == dict.fromkeys(DRAWS.ids, expected)
        assert subject.backwards == dict.fromkeys(DRAWS.ids, 4)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("width", range(3, 22, 2))
def test_the_gaussian_is_centred_normalised_and_a_gaussian(width, sigma):
    line = gaussian(width, sigma)
    assert len(line) == width
    assert torch.equal(line, line.flip(0))
    assert line.argmax() == width // 2
    torch.testing.assert_close(line.sum(), torch.tensor(1.0))
    assert torch.allclose(line[width // 2 + 1] / line[width // 2], torch.tensor(-0.5 / sigma**2).exp())


def test_the_kernel_of_the_paper():
    """3 pixels, sigma 1: [[.075, .124, .075], [.124, .204, .124], [.075, .124, .075]], and an impulse in one channel stays there."""
    impulse = torch.zeros(1, 3, SIDE, SIDE)
    impulse[0, 1, 4, 5] = 1
    found = smoothed(impulse, 3, 1.0)
    expected = torch.tensor([[0.075, 0.124, 0.075], [0.124, 0.204, 0.124], [0.075, 0.124, 0.075]])
    torch.testing.assert_close(found[0, 1, 3:6, 4:7], expected, atol=6e-4, rtol=0)
    assert found[0, 1].sum() == pytest.approx(1, abs=1e-6)
    assert not found[0, [0, 2]].any()


@pytest.mark.parametrize("width", [3, 9, 21])
def test_smoothing_is_a_convolution_that_keeps_the_size(width):
    x = images() - 0.5
    torch.testing.assert_close(smoothed(x, width, 1.7), blurred(x, width, 1.7), atol=1e-5, rtol=0)


REFUSED = {
    "steps .* must be at least 1": {"steps": 0},
    "step_size must be above 0": {"step_size": -0.1},
    "kernel must be an odd number of pixels from 3 to 21, got 4": {"kernel": 4},
    "kernel must be .* got 1:": {"kernel": 1},
    "kernel must be .* got 23": {"kernel": 23},
    "sigma must be above 0": {"sigma": 0.0},
    "a1 must be above 0": {"a1": 0.0},
    "a2 at least 0": {"a2": -1.0},
    "a2 = 0 is BIM": {"a2": float("nan")},
}


@pytest.mark.parametrize("told", list(REFUSED))
def test_settings_that_mean_nothing_are_refused(told):
    with pytest.raises(PlanError, match=told):
        SMIA(**REFUSED[told])


def test_a_black_box_gives_no_gradient(model, x, y):
    with pytest.raises(PlanError, match="black box"):
        SMIA()(Oracle(model), x, y, LINF, DRAWS)
