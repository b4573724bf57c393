"""MI, NI, DI, TI, SI and VMI do what their equations say, and are each other where their settings say nothing."""

import pytest
import torch
from torch.nn import functional as F

from robustdx.attacks import ATTACKS, BIM, Momentum
from robustdx.attacks.loops.diversity import shrunk
from robustdx.attacks.momentum import PRESETS, in_steps
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, Subject
from robustdx.models.oracle import Oracle
from robustdx.tasks import Binary
from robustdx.threats import L2, Linf
from tests.attacks.test_closed_form import linear, optimum_of_one_logit
from tests.attacks.walking import (
    DRAWN,
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
    smooth_network,
    uphill,
)

SHORT = {"steps": 4, "neighbours": 2, "smooth": 3, "scales": 2}
NAMED = {
    name: ATTACKS.parse({**words, **{k: v for k, v in SHORT.items() if k in words or k == "steps"}}) for name, words in PRESETS.items()
}
"""Every preset, in few steps and with few copies."""
by_name = pytest.mark.parametrize("attack", NAMED.values(), ids=list(NAMED))


@pytest.fixture
def model():
    return model_for(TASK, 3)


@pytest.fixture
def x():
    return images()


@pytest.fixture
def y():
    return labels(TASK)


def walked(x, threat, gradient, *, decay, steps=3, step_size=0.3):
    """Algorithm 1 of MI-FGSM, by hand: `gradient(t, x_t, lead)`, lead = decay * step * m_t."""
    step, m, way = step_size * threat.eps, torch.zeros_like(x), [x]
    for t in range(steps):
        g = gradient(t, way[-1], decay * step * m)
        m = decay * m + g / g.abs().mean((1, 2, 3), keepdim=True)
        way.append((way[-1] + step * m.sign()).clamp(x - threat.eps, x + threat.eps).clamp(0, 1))
    return torch.stack(way)


def path(attack, model, x, y, threat=LINF):
    return torch.stack(list(attack.path(model, x, y, threat, DRAWS)))


HAND = {"steps": 3, "step_size": 0.3, "decay": 0.7}
WIDE = Linf(32 / 255)
"""Wide enough that every part of an equation turns pixels."""


def assert_by_hand(model, x, y, gradient, **settings):
    found = path(Momentum(**HAND, **settings), model, x, y, WIDE)
    assert_same(found, walked(x, WIDE, gradient, decay=0.7))
    mi = path(Momentum(**HAND), model, x, y, WIDE)
    assert ((found - mi).abs() > 1e-5).float().mean() > 0.02, "the setting must turn some pixels, or nothing was tested"


@pytest.mark.parametrize("steps", [2, 5])
def test_mi_by_hand(model, x, y, steps):
    expected = walked(x, WIDE, lambda t, x_t, lead: uphill(lambda z: TASK.loss(model(z), y), x_t), decay=0.7, steps=steps)
    assert_same(path(Momentum(**HAND | {"steps": steps}), model, x, y, WIDE), expected)
    plain = path(BIM(steps=steps, step_size=0.3), model, x, y, WIDE)
    assert ((plain - expected).abs() > 1e-5).float().mean() > 0.01, "momentum must turn some pixels, or nothing was tested"


def test_ni_looks_where_the_momentum_leads(model, x, y):
    assert_by_hand(model, x, y, lambda t, x_t, lead: uphill(lambda z: TASK.loss(model(z), y), (x_t + lead).clamp(0, 1)), nesterov=True)


def test_si_is_the_mean_over_darker_copies(model, x, y):
    def gradient(t, x_t, lead):
        return sum(uphill(lambda z, i=i: TASK.loss(model(z / 2**i), y), x_t) for i in range(3)) / 3

    assert_by_hand(model, x, y, gradient, scales=3)


def test_ti_convolves_the_gradient(model, x, y):
    def gradient(t, x_t, lead):
        return blurred(uphill(lambda z: TASK.loss(model(z), y), x_t), 5, 4 / 6)

    assert_by_hand(model, x, y, gradient, smooth=5)


def test_di_goes_through_a_shrunk_image(model, x, y):
    def gradient(t, x_t, lead):
        draws = DRAWN.fork("step", t).fork("copy", 0)
        return uphill(lambda z: TASK.loss(model(shrunk(z, draws, 0.5, 0.6)), y), x_t)

    assert_by_hand(model, x, y, gradient, diverse=0.5, smallest=0.6)


def test_vmi_adds_the_variance_of_the_step_before(model, x, y):
    variance = torch.zeros_like(x)

    def gradient(t, x_t, lead):
        nonlocal variance
        own, drawn = uphill(lambda z: TASK.loss(model(z), y), x_t), DRAWN.fork("step", t)
        around = [(x_t + 1.5 * WIDE.eps * drawn.fork("neighbour", i).uniform(-1, 1, like=x)).clamp(0, 1) for i in range(2)]
        tuned, variance = own + variance, sum(uphill(lambda z: TASK.loss(model(z), y), n) for n in around) / 2 - own
        return tuned

    assert_by_hand(model, x, y, gradient, neighbours=2)


def test_under_l2_the_sum_is_of_gradients_of_length_1(model, x, y):
    threat, m, way = L2(0.5), torch.zeros_like(x), [x]
    for _ in range(3):
        g = uphill(lambda z: TASK.loss(model(z), y), way[-1])
        m = 0.7 * m + g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        way.append(threat.project(way[-1] + 0.15 * m / m.flatten(1).norm(dim=1).view(-1, 1, 1, 1), x))
    torch.testing.assert_close(path(Momentum(**HAND), model, x, y, threat), torch.stack(way), atol=1e-5, rtol=0)


def test_a_mask_closes_the_sum_too_and_pixels_without_a_slope_count():
    grad = torch.ones(B, 3, SIDE, SIDE)
    grad[:, :, 3:] = 5.0
    grad[:, 0] = 0.0
    mean = grad.mean((1, 2, 3), keepdim=True)
    assert torch.allclose(in_steps(grad, LINF), grad / mean)
    open_ = THREATS["masked"].region
    inside = grad * open_
    assert torch.allclose(in_steps(grad, THREATS["masked"]), inside / (inside.sum((1, 2, 3), keepdim=True) / (3 * 60)))
    assert not in_steps(torch.zeros_like(grad), LINF).any()


@by_task
@by_threat
def test_without_momentum_it_is_bim(task, outputs, threat):
    model, x, y = model_for(task, outputs), images(), labels(task)
    for stop in (True, False):
        bim = BIM(steps=5, early_stop=stop)(model, x, y, threat, DRAWS)
        assert torch.equal(Momentum(steps=5, decay=0.0, early_stop=stop)(model, x, y, threat, DRAWS), bim)


NEUTRAL = {
    "di that never shrinks": {"diverse": 1e-12},
    "si of one copy": {"scales": 1},
    "ti of no width": {"smooth": 0},
    "vmi that looks nowhere else": {"neighbours": 2, "beta": 1e-12},
}


@by_threat
@pytest.mark.parametrize("settings", NEUTRAL.values(), ids=list(NEUTRAL))
def test_with_neutral_settings_it_is_mi(model, x, y, settings, threat):
    mi, other = (Momentum(steps=5, early_stop=False, **words)(model, x, y, threat, DRAWS) for words in ({}, settings))
    assert_same(other, mi)


@pytest.mark.parametrize(
    ("one", "other"), [("di", {"diverse": 0.0}), ("si", {"scales": 1}), ("ti", {"smooth": 0}), ("ni", {"nesterov": False})]
)
def test_a_preset_with_its_own_part_taken_away_is_mi(one, other):
    assert ATTACKS.parse({**PRESETS[one], **other}) == ATTACKS.parse("mi")


def test_the_presets_are_what_the_literature_calls_them():
    assert ATTACKS.parse("mi") == Momentum()
    assert ATTACKS.parse("di-ti-mi") == Momentum(diverse=0.5, smooth=15)
    assert ATTACKS.parse("vmi-di-ti-si") == Momentum(neighbours=20, diverse=0.5, smooth=15, scales=5)
    assert all(ATTACKS.parse(name).decay == 1 for name in PRESETS)


@pytest.mark.parametrize("threat", [Linf(8 / 255), L2(0.5)], ids=str)
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("name", ["mi", "ni", "si", "vmi", "vni"])
def test_on_a_linear_model_it_reaches_the_optimum(name, outputs, threat):
    """TI and DI give up the steepest way on purpose."""
    task = Binary()
    model = linear(task, outputs)
    x = 0.3 + 0.4 * torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    y = torch.arange(6) % 2
    draws = Draws(0, tuple(map(str, range(6))))
    attack = ATTACKS.parse(
        {"name": name, "steps": 20, "step_size": 0.25, "early_stop": False, **({"neighbours": 3} if "v" in name else {})}
    )
    best = task.loss(model(optimum_of_one_logit(model, x, y, threat)), y)
    assert torch.allclose(task.loss(model(attack(model, x, y, threat, draws)), y), best, atol=1e-3)


@by_name
@by_threat
@pytest.mark.parametrize("keep", ["worst", "last"])
def test_it_stays_inside(model, x, y, attack, threat, keep):
    x_adv = ATTACKS.parse({**ATTACKS.dump(attack), "keep": keep, "early_stop": False})(model, x, y, threat, DRAWS)
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert (threat.distance(x_adv, x) <= threat.eps * (1 + 1e-5)).all()
    assert (threat.distance(x_adv, x) >= threat.eps * 0.2).all()


@by_name
@pytest.mark.parametrize("threat", [THREATS["linf"], THREATS["masked l2"]], ids=["linf", "masked l2"])
def test_a_batch_equals_its_singles(model, x, y, attack, threat):
    together = attack(model, x, y, threat, DRAWS)
    for i in range(B):
        at = torch.tensor([i])
        assert_same(attack(model, x[at], y[at], threat.take(at), DRAWS.take([i])), together[at])


@by_name
def test_a_rough_search_ends_in_float32(x, y, attack):
    model = model_for(TASK, 3)
    subject = Subject(model, model.in_precision(torch.bfloat16).requires_grad_(False).eval())
    x_adv = attack(subject, x, y, LINF, DRAWS)
    assert subject.rough
    assert (model.task.errors(model(x_adv), y) >= model.task.errors(model(x), y)).all()


PASSES = {
    "mi": ({}, 4 + 1, 4),
    "ni": ({"nesterov": True}, 4 + 3 + 1, 4),
    "di": ({"diverse": 0.5}, 4 + 3 + 1, 4),
    "ti": ({"smooth": 3}, 4 + 1, 4),
    "si": ({"scales": 3}, 12 + 1, 12),
    "vmi": ({"neighbours": 2}, 12 + 1, 12),
    "vmi-si": ({"neighbours": 2, "scales": 3}, 36 + 1, 36),
    "si-ni": ({"nesterov": True, "scales": 3}, 12 + 3 + 1, 12),
}


@pytest.mark.parametrize("name", list(PASSES))
def test_passes_are_those_of_the_docstring(model, x, y, name):
    settings, forwards, backwards = PASSES[name]
    judged, unjudged, stopping = Subject(model), Subject(model), Subject(model)
    Momentum(steps=4, early_stop=False, **settings)(judged, x, y, LINF, DRAWS)
    assert judged.forwards == dict.fromkeys(DRAWS.ids, forwards)
    assert judged.backwards == dict.fromkeys(DRAWS.ids, backwards)
    Momentum(steps=4, early_stop=False, keep="last", **settings)(unjudged, x, y, LINF, DRAWS)
    assert unjudged.forwards == unjudged.backwards == dict.fromkeys(DRAWS.ids, backwards)
    Momentum(steps=4, **settings)(stopping, x, y, Linf(0.1 / 255), DRAWS)
    right = (~TASK.fooled(model(x), y)).tolist()
    first = 1 if name in ("ni", "di", "si-ni") else 0
    for i, stands in zip(DRAWS.ids, right, strict=True):
        assert stopping.forwards[i] == (forwards + first if stands else 2), "where it is wrong at first: one look, and its confirmation"
        assert stopping.backwards[i] == (backwards if stands else 1 - first), "a gradient is taken of a whole look"


REFUSED = {
    "steps .* must be at least 1": {"steps": 0},
    "step_size must be above 0": {"step_size": 0.0},
    "smooth must be an odd number of pixels from 3 to 21, got 4": {"smooth": 4},
    "smooth must be .* got 23": {"smooth": 23},
    "decay must be at least 0 .* got decay -1": {"decay": -1.0},
    "decay must be at least 0 .* got decay nan": {"decay": float("nan")},
    "beta above 0": {"beta": 0.0},
    "probability from 0 to 1": {"diverse": 1.5},
    "a fraction between 0 and 1": {"smallest": 1.0},
    "scales must be at least 1": {"scales": 0},
    "neighbours at least 0": {"neighbours": -1},
}


@pytest.mark.parametrize("told", list(REFUSED))
def test_settings_that_mean_nothing_are_refused(told):
    with pytest.raises(PlanError, match=told):
        Momentum(**REFUSED[told])


@by_name
def test_a_black_box_gives_no_gradient(model, x, y, attack):
    with pytest.raises(PlanError, match="black box"):
        attack(Oracle(model), x, y, LINF, DRAWS)


def test_a_shrunk_image_is_the_image_at_another_size_and_place():
    """Against torch's own resizing: the square that is not black is the image in that size."""
    x, draws = images().clamp_min(0.05), DRAWS.fork("any")
    seen = shrunk(x, draws, 1.0, 0.5)
    sizes = set()
    for image, whole in zip(seen, x, strict=True):
        rows, columns = (image.sum((0, d)).nonzero().flatten() for d in (2, 1))
        top, left, size = int(rows[0]), int(columns[0]), len(rows)
        assert len(columns) == size
        assert 5 <= size < SIDE
        smaller = F.interpolate(whole[None], (size, size), mode="bilinear", align_corners=False)[0]
        torch.testing.assert_close(image[:, top : top + size, left : left + size], smaller, atol=1e-5, rtol=0)
        assert not (image.sum() - image[:, top : top + size, left : left + size].sum()).abs() > 1e-3
        sizes.add(size)
    assert len(sizes) > 1, "each image draws a size of its own"
    assert torch.equal(shrunk(x, draws, 0.0, 0.5), x)


@pytest.mark.parametrize("side", [1, 2, 7])
def test_the_smallest_images_are_shown_too(side):
    x = torch.rand(4, 1, side, 2 * side)
    assert shrunk(x, Draws(0, tuple("abcd")), 1.0, 0.9).isfinite().all()


def test_how_often_images_are_shrunk():
    x, draws = torch.ones(400, 1, 4, 4), Draws(0, tuple(map(str, range(400))))
    assert 0.2 < (shrunk(x, draws, 0.3, 0.5) == 0).flatten(1).any(1).float().mean() < 0.4


def test_dropping_images_on_the_way_keeps_what_each_carries(x):
    """Images that are beaten early leave: the others go on as if they had been alone."""
    model = DiagnosticModel(smooth_network(3), TASK).eval().requires_grad_(False)
    y = model(x).argmax(1)
    attack, threat = NAMED["vmi-di-ti-si"], Linf(24 / 255)
    subject = Subject(model)
    together = attack(subject, x, y, threat, DRAWS)
    assert len(set(subject.backwards.values())) > 1, "all left at once: nothing was tested"
    for i in range(B):
        at = torch.tensor([i])
        assert_same(attack(model, x[at], y[at], threat, DRAWS.take([i])), together[at])
