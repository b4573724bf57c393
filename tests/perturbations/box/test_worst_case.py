"""The search through a box: on models whose worst image is known, and what it promises on all of them."""

import math

import pytest
import torch
from known import DRAWS, SIDE, TASKS, B, as_decided, images, model, network
from torch.nn import functional as F

from robustdx.catalogue import build
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import Defended, Subject, searching, still
from robustdx.models.oracle import Oracle
from robustdx.perturbations.box import Box, Sampled, WorstCase, sampled
from robustdx.perturbations.box.changes import saved
from robustdx.tasks import Binary, MultiLabel

WHOLE = Box(rotation=30, shift=0.15, scale=0.2, brightness=0.1, contrast=0.3, hue=20, blur=0.05)
PLACE = WHOLE.only("rotation", "shift", "scale")
BRIGHT = Box(brightness=26 / 255).only("brightness")
EMPTY = Box().only()
FORMS = {"whole": WorstCase(box=WHOLE), "place": WorstCase(box=PLACE, rotations=3), "whole, driven": WorstCase(box=WHOLE, early_stop=False)}


def brightness_is_it(x):
    """One logit: how far the mean lies above half."""
    return 20 * (x.mean((1, 2, 3)) - 0.5)[:, None]


# -- models whose worst image is known ---------------------------------------------------------------------------------


@pytest.mark.parametrize("gradient", [True, False], ids=["climbs", "asks"])
def test_a_model_of_brightness_is_worst_at_the_corner(gradient):
    subject = Subject(model(brightness_is_it))
    x, y = images(), torch.tensor([0, 1] * (B // 2))
    found = WorstCase(box=BRIGHT, early_stop=False, samples=200)(subject if gradient else Oracle(subject), x, y, DRAWS)
    towards = torch.where(y == 1, -1.0, 1.0)
    near = {"atol": 1e-6 if gradient else 0.01, "rtol": 0}
    torch.testing.assert_close(found.parameters[:, 4], towards * 26 / 255, **near)
    if gradient:
        assert torch.equal(found.x_adv, saved(x + towards.view(-1, 1, 1, 1) * 26 / 255))


@pytest.mark.parametrize(("right", "down"), [(3, -2), (-1, 3), (0.5, 0.5)])
def test_a_template_is_found_where_it_lies(right, down):
    """The model is frightened by one spot, at a place to which the shift can bring it."""
    at = torch.arange(SIDE, dtype=torch.float32) - (SIDE - 1) / 2
    spot = lambda r, d: torch.exp(-((at - r) ** 2 + (at[:, None] - d) ** 2) / 8)  # noqa: E731
    template = spot(right, down)
    matcher = model(lambda x: (x * template).sum((1, 2, 3))[:, None] - 100)
    x = spot(0, 0).expand(1, 3, -1, -1).mul(255).round().div(255)
    box = Box(shift=0.25, fill="edge").only("shift")
    found = WorstCase(box=box, early_stop=False)(matcher, x, torch.tensor([0]), DRAWS.take([0]))
    (named,) = found.named
    assert named["shift_x"] * SIDE == pytest.approx(right, abs=0.3)
    assert named["shift_y"] * SIDE == pytest.approx(down, abs=0.3)
    assert set(named) == {"shift_x", "shift_y"}


def rings(x):
    """The mean over each of five rings about the centre, on a finer grid: the same for a turned image but for the resampling."""
    fine = F.interpolate(x.mean(1, keepdim=True), scale_factor=4, mode="bilinear", align_corners=False)[:, 0]
    at = torch.arange(4 * SIDE) - (4 * SIDE - 1) / 2
    radius = (at**2 + at[:, None] ** 2).sqrt() / (2 * SIDE)
    weights = torch.stack([torch.exp(-(((radius - r) / 0.12) ** 2)) for r in (0.05, 0.2, 0.35, 0.5, 0.65)])
    return torch.einsum("bhw,rhw->br", fine, weights / weights.sum((1, 2), keepdim=True))


def round_images():
    """Smooth images, whose rings a bilinear resampling hardly changes."""
    coarse = torch.rand(B, 1, 3, 3, generator=torch.Generator().manual_seed(4))
    return (
        F.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=True).clamp(0, 1).expand(-1, 3, -1, -1).mul(255).round().div(255)
    )


def test_where_turning_changes_nothing_it_finds_nothing():
    x, weight = round_images(), torch.randn(5, 2, generator=torch.Generator().manual_seed(2))
    centre, spread = rings(x).mean(0), (rings(x) @ weight).std()
    decider = model(lambda x: ((rings(x) - centre) @ weight) / spread)
    y = as_decided(decider, x)
    clear = decider.task.margin(decider(x), y) > 0.1
    assert clear.sum() >= B - 2, "what resampling does to the rings is less than a tenth of what tells images apart"
    x, y, draws = x[clear], y[clear], DRAWS.take(clear)
    turn = WorstCase(box=Box(rotation=180, fill="edge").only("rotation"), rotations=9, samples=200)
    assert turn(decider, x, y, draws).errors.sum() == 0
    assert WorstCase(box=Box(shift=0.3).only("shift"))(decider, x, y, draws).errors.sum() > 0, "it can be fooled, only not so"


def test_the_same_search_turns_a_model_that_looks_at_sides():
    """Half a turn swaps left and right, and with them the sign of the only logit."""
    sides = model(lambda x: 100 * (x[..., : SIDE // 2].mean((1, 2, 3)) - x[..., SIDE // 2 :].mean((1, 2, 3)))[:, None])
    x = round_images()
    assert WorstCase(box=Box(rotation=180).only("rotation"))(sides, x, as_decided(sides, x), DRAWS).errors.all()


# -- what it promises ----------------------------------------------------------------------------------------------


def by_hand(decider, box, x, y, counts):
    """The worst of a grid for each image, point by point: (errors, loss where nothing is wrong less the margin)."""
    errors, scores = [], []
    sides = [torch.linspace(-1, 1, n).tolist() for n in counts]
    with torch.no_grad():
        for r in sides[0]:
            for across in sides[1]:
                for down in sides[1]:
                    for s in sides[2]:
                        p = torch.tensor([r * box.rotation, across * box.shift, down * box.shift, s * box.scale, 0, 0, 0, 0])
                        outputs = decider((box.apply(x, p.expand(len(x), -1)) * 255).round() / 255)
                        errors.append(decider.task.errors(outputs, y))
                        scores.append(decider.task.loss(outputs, y) - decider.task.margin(outputs, y).clamp_min(0))
    return torch.stack(errors), torch.stack(scores)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", TASKS)
def test_it_is_at_least_as_bad_as_every_point_of_its_grid(name, precision):
    decider, x = network(name), images()
    y = as_decided(decider, x)
    errors, scores = by_hand(decider, PLACE, x, y, (3, 3, 3))
    assert errors.amax(0).mean() > 0, "the grid finds something"
    with still(decider):
        driven = WorstCase(box=PLACE, rotations=3, early_stop=False)(searching(decider, precision), x, y, DRAWS)
        quick = WorstCase(box=PLACE, rotations=3)(searching(decider, precision), x, y, DRAWS)
        seen = decider(driven.x_adv)
    assert (quick.errors >= errors.amax(0) - 1e-6).all()
    assert (driven.errors >= errors.amax(0) - 1e-6).all()
    worst = scores.masked_fill(errors < errors.amax(0), -math.inf).amax(0)
    reached = decider.task.loss(seen, y) - decider.task.margin(seen, y).clamp_min(0)
    assert ((driven.errors > errors.amax(0)) | (reached >= worst - 1e-4)).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", TASKS)
def test_what_it_says_is_true_of_the_image_as_saved(name, form):
    decider, x = network(name), images()
    y, search = as_decided(decider, x), FORMS[form]
    found = search(Subject(decider), x, y, DRAWS)
    assert torch.equal(found.x_adv, saved(found.x_adv)), "on the grid of 8-bit images"
    with torch.no_grad():
        torch.testing.assert_close(decider.task.errors(decider(found.x_adv), y), found.errors)
        again = saved(search.box.apply(x, found.parameters))
    assert (again - found.x_adv).abs().max() <= 1.001 / 255
    assert (again != found.x_adv).float().mean() < 0.01, "but where rounding was a matter of the last bit"
    assert found.errors.mean() > 0.3, "it finds something on this network"
    assert found.parameters.isfinite().all()


def test_an_image_that_rounding_would_save_does_not_count():
    """This model errs only between two values that an 8-bit pixel can have."""
    between = model(lambda x: 1000 * (0.2 / 255 - (x[:, 0, 0, 0] * 255 - (x[:, 0, 0, 0] * 255).round()).abs() / 255)[:, None])
    x, y = images(), torch.ones(B, dtype=torch.long)
    assert between.task.errors(between(x + 0.5 / 255), y).all()
    found = WorstCase(box=BRIGHT)(between, x, y, DRAWS)
    assert not found.errors.any()
    assert not between.task.errors(between(found.x_adv), y).any()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_pass_is_counted(form, precision):
    decider, x, search = network(), images(), FORMS[form]
    y = as_decided(decider, x)
    y[0] = (y[0] + 1) % 4
    with still(decider):
        subject = searching(decider, precision)
        found = search(subject, x, y, DRAWS)
    assert list(found.forwards) == [subject.forwards[i] for i in DRAWS.ids]
    assert list(found.backwards) == [subject.backwards[i] for i in DRAWS.ids]
    if search.early_stop:
        assert (found.forwards[0], found.backwards[0]) == (1, 0), "an image that is wrong as it is costs one pass"
        assert not found.parameters[0].any()
    else:
        claims = (search.steps * 2) * (precision == "bfloat16")
        assert len(set(found.backwards)) == 1
        assert found.backwards[0] == search.steps * (1 + search.starts)
        standing = len(search.grid) + search.steps * (1 + search.starts) + 1 + search.starts
        assert all(standing <= n <= standing + claims for n in found.forwards)


def test_a_defence_without_a_gradient_is_asked_after_one_look_from_each_start():
    decider, x = network(), images()
    y, subject = as_decided(decider, x), Subject(Defended(decider, Straight()))
    with still(subject.model):
        found = WorstCase(box=PLACE, early_stop=False, samples=8)(subject, x, y, DRAWS)
    assert list(found.forwards) == [subject.forwards[i] for i in DRAWS.ids]
    assert subject.backwards.total() == 0, "no gradient came back"
    assert found.forwards[0] == 135 + 1 + 2 + 8, "the first step from each start said that there is no slope"


class Straight:
    """A purifier without a gradient that changes nothing."""

    differentiable, random = False, False

    def __call__(self, x, draws):
        return x.detach().clone()


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_equals_its_singles(form):
    decider, x = network(), images()
    y = as_decided(decider, x)
    together = FORMS[form](Subject(decider), x, y, DRAWS)
    alone = [FORMS[form](Subject(decider), x[i : i + 1], y[i : i + 1], DRAWS.take([i])) for i in range(B)]
    assert torch.equal(together.errors, torch.cat([a.errors for a in alone]))
    assert together.forwards == tuple(a.forwards[0] for a in alone)
    torch.testing.assert_close(together.parameters, torch.cat([a.parameters for a in alone]), atol=1e-3, rtol=1e-3)


def test_neither_the_order_of_the_images_nor_the_call_changes_what_is_found():
    decider, x, order = network(), images(), torch.tensor([3, 0, 5, 1, 4, 2])
    y, search = as_decided(decider, x), WorstCase(box=WHOLE, samples=20)
    first, again = (search(Oracle(decider), x, y, DRAWS) for _ in range(2))
    assert torch.equal(first.x_adv, again.x_adv)
    turned = search(Oracle(decider), x[order], y[order], DRAWS.take(order))
    torch.testing.assert_close(turned.parameters, first.parameters[order], atol=1e-4, rtol=1e-4)


def test_another_seed_draws_other_points():
    decider, x = model(brightness_is_it), images()
    y, search = as_decided(decider, x), WorstCase(box=WHOLE.only("brightness", "hue"), early_stop=False, samples=8)
    one, other = (search(Oracle(decider), x, y, Draws(seed, DRAWS.ids)).parameters for seed in (0, 1))
    assert (one != other).any(1).all()


def test_a_box_without_width_gives_the_images_back_unasked():
    x, subject = torch.rand(B, 3, SIDE, SIDE), Subject(network())
    found = WorstCase(box=EMPTY)(subject, x, torch.zeros(B, dtype=torch.long), DRAWS)
    assert torch.equal(found.x_adv, x)
    assert not found.parameters.any()
    assert not subject.forwards
    assert found.named == [{}] * B


def test_the_image_the_labels_and_the_network_are_left_alone():
    decider, x = network(), images()
    y, before = as_decided(decider, x), images()
    with still(decider):
        WorstCase(box=WHOLE)(decider, x, y, DRAWS)
    assert torch.equal(x, before)
    assert all(p.grad is None for p in decider.parameters())


def test_a_wider_box_is_no_better_and_turns_more():
    decider, x = network(), images()
    y = as_decided(decider, x)
    narrow, wide = (WorstCase(box=b)(decider, x, y, DRAWS).errors for b in (Box(rotation=1).only("rotation"), WHOLE))
    assert (wide >= narrow).all()
    assert wide.sum() > narrow.sum()


# -- without a gradient -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reveals", ["scores", "labels"])
def test_a_black_box_is_asked(reveals):
    decider, x = network(), images()
    y, oracle = as_decided(decider, x), Oracle(decider, reveals=reveals)
    found = WorstCase(box=WHOLE)(oracle, x, y, DRAWS)
    assert found.errors.mean() > 0.3
    assert not any(found.backwards)
    assert list(found.forwards) == [oracle.queries[i] for i in DRAWS.ids]


def test_a_black_box_is_not_asked_beyond_its_budget():
    decider, x = network(), images()
    oracle = Oracle(decider, budget=50)
    WorstCase(box=WHOLE, early_stop=False)(oracle, x, as_decided(decider, x), DRAWS)
    assert all(45 <= n <= 50 for n in oracle.queries.values())


def test_where_the_gradient_is_zero_chance_goes_on():
    """The network rounds what it sees to two values: everything is flat, and the mean of a darker image still falls."""
    flat = model(lambda x: 20 * ((x.mean((1, 2, 3)) > 0.42).float() - 0.5)[:, None])
    x, box = images(), Box(brightness=0.2).only("brightness")
    y = as_decided(flat, x)
    with torch.no_grad():
        corner = torch.where(y == 1, -0.2, 0.2).view(-1, 1, 1, 1)
        possible = flat.task.errors(flat(x + corner), y)
    assert possible.any()
    assert torch.equal(WorstCase(box=box)(flat, x, y, DRAWS).errors, possible)
    assert not WorstCase(box=box, samples=0, starts=0)(flat, x, y, DRAWS).errors.any()


def test_blur_is_found_though_it_has_no_slope_where_it_is_nothing():
    """The model sees how sharp an image is."""
    sharp = model(lambda x: 1e3 * (x.diff(dim=3).square().mean((1, 2, 3)) - 0.0005)[:, None])
    x = torch.rand(B, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    found = WorstCase(box=Box(blur=0.2).only("blur"), early_stop=False)(sharp, x, torch.ones(B, dtype=torch.long), DRAWS)
    assert (found.parameters[:, 7] > 0.19).all()


# -- several decisions, words, the average ---------------------------------------------------------------------------------


def test_with_several_findings_it_goes_on_after_the_first():
    """Brightness turns two findings of three, one after the other."""
    levels = torch.tensor([0.02, 0.08, 0.5])
    three = model(lambda x: 50 * (x.mean((1, 2, 3))[:, None] - 0.5 - levels), MultiLabel(tuple("abc")))
    x = torch.full((1, 3, SIDE, SIDE), 128 / 255)
    found = WorstCase(box=BRIGHT)(three, x, torch.zeros(1, 3), DRAWS.take([0]))
    assert found.errors.item() == pytest.approx(2 / 3)
    one = WorstCase(box=BRIGHT)(three, x, torch.tensor([[0.0, math.nan, math.nan]]), DRAWS.take([0]))
    assert one.errors.item() == 1, "findings without a label count nowhere"


def test_it_is_made_from_the_words_of_a_plan():
    search = build(WorstCase, {"box": {"rotation": 30, "hue": 0}, "steps": 5}, where="worst case")
    assert search == WorstCase(box=Box(rotation=30.0, hue=0.0), steps=5)
    with pytest.raises(PlanError, match="rotation is half the width"):
        build(WorstCase, {"box": {"rotation": -3}}, where="worst case")


@pytest.mark.parametrize(
    "settings", [{"rotations": 4}, {"shifts": 0}, {"scales": -1}, {"starts": -1}, {"steps": -1}, {"samples": -1}], ids=str
)
def test_settings_without_meaning_are_refused(settings):
    with pytest.raises(PlanError, match=next(iter(settings))):
        WorstCase(**settings)
    with pytest.raises(PlanError, match="count"):
        Sampled(count=0)


def test_the_average_is_what_random_points_do():
    """The logit is the mean less a half: of a box of brightness evenly drawn, the share that is wrong is known."""
    x = torch.full((1, 3, SIDE, SIDE), 0.5 + 10 / 255).mul(255).round().div(255)
    decider, box = model(lambda x: (x.mean((1, 2, 3)) - 0.5)[:, None], Binary()), Box(brightness=40 / 255).only("brightness")
    gap = float(x.mean() - 0.5)
    errors = sampled(box, 2000)(decider, x, torch.tensor([1]), DRAWS.take([0]))
    assert errors.shape == (1, 2000)
    assert errors.mean().item() == pytest.approx((40 / 255 - gap) / (80 / 255), abs=0.03)


def test_the_average_counts_its_passes_and_is_never_worse_than_the_worst():
    decider, x = network(), images()
    y, subject = as_decided(decider, x), Subject(decider)
    errors = sampled(WHOLE, 12)(subject, x, y, DRAWS)
    assert set(subject.forwards.values()) == {12}
    assert 0 < errors.mean() < WorstCase(box=WHOLE)(decider, x, y, DRAWS).errors.mean()
    alone = torch.cat([sampled(WHOLE, 12)(decider, x[i : i + 1], y[i : i + 1], DRAWS.take([i])) for i in range(B)])
    assert torch.equal(errors, alone)
