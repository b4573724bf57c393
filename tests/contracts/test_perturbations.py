"""What every perturbation in the catalogue promises. A new one is tested here without a line of its own."""

import dataclasses
import re
import typing

import pytest
import torch

from robustdx.catalogue import document
from robustdx.draws import Draws
from robustdx.errors import ImageError, PlanError
from robustdx.perturbations import PERTURBATIONS, SEVERITIES, Modality, Perturbation

B = 3
DRAWS = Draws(3, tuple(f"img{i}" for i in range(B)))
NAMES = sorted(PERTURBATIONS.methods)
SHAPES = {"colour": (3, 48, 48), "grey": (1, 48, 48), "odd sides": (3, 41, 53)}


@pytest.fixture(params=NAMES)
def perturb(request):
    return PERTURBATIONS.parse(request.param)


@pytest.fixture(params=SHAPES.values(), ids=list(SHAPES))
def x(request, perturb):
    """Images with structure, texture and colour, as 8 bits hold them; what a perturbation refuses in words is passed over."""
    images = pictures(*request.param)
    refusal = refused(perturb, images)
    if refusal:
        assert re.search(r"\d+ channel|channels, got \d|\d+x\d+", refusal), "a refusal names what came"
        pytest.skip(f"refused: {refusal}")
    return images


def pictures(channels, height, width, count=B):
    g = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0.15, 0.7, height)[:, None] * torch.linspace(0.6, 1, width)
    tint = torch.tensor([1.2, 0.8, 0.6])[:channels, None, None] if channels == 3 else 1.0
    waves = 0.1 * torch.sin(torch.arange(height)[:, None] * 0.9) * torch.cos(torch.arange(width) * 0.7)
    images = (ramp + waves) * tint + 0.04 * torch.randn(count, channels, height, width, generator=g)
    return (images.clamp(0, 1) * 255).round() / 255


def refused(perturb, images):
    """What a perturbation says against images of this shape; nothing, where it takes them."""
    try:
        perturb(images[:1], 1, DRAWS.take([0]))
    except ImageError as refusal:
        return str(refusal)
    return ""


def test_no_perturbation_refuses_images_in_colour():
    assert not {name: said for name in NAMES if (said := refused(PERTURBATIONS.parse(name), pictures(3, 48, 48)))}


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_images_come_back_in_the_shape_and_the_range_in_which_they_came(perturb, x, severity, dtype):
    after = perturb(x.to(dtype), severity, DRAWS)
    assert (after.shape, after.dtype, after.device) == (x.shape, dtype, x.device)
    assert after.isfinite().all()
    assert after.min() >= 0
    assert after.max() <= 1


def test_every_severity_changes_something_and_no_two_are_the_same(perturb, x):
    after = [perturb(x, severity, DRAWS) for severity in SEVERITIES]
    for before, now in zip([x, *after], after, strict=False):
        assert (now - before).flatten(1).abs().amax(1).min() > 1 / 255


def test_black_white_and_flat_images_are_images_too(perturb, x):
    for shade in (0.0, 0.5, 1.0):
        after = perturb(torch.full_like(x, shade), 5, DRAWS)
        assert after.isfinite().all()
        assert after.min() >= 0
        assert after.max() <= 1


def test_a_grey_picture_saved_in_colour_is_an_image_too(perturb):
    grey = pictures(1, 48, 48).expand(-1, 3, -1, -1)
    for severity in SEVERITIES:
        assert perturb(grey, severity, DRAWS).isfinite().all()


def test_same_draws_same_answer_and_the_images_are_left_alone(perturb, x):
    before = x.clone()
    first = perturb(x, 3, DRAWS)
    kept = first.clone()
    assert torch.equal(perturb(x, 3, DRAWS), first)
    perturb(x, 3, DRAWS).mul_(0)
    assert torch.equal(first, kept), "an answer is the caller's own"
    assert torch.equal(x, before)


def test_a_batch_equals_its_singles(perturb, x):
    together = perturb(x, 4, DRAWS)
    for i in range(B):
        torch.testing.assert_close(perturb(x[i : i + 1], 4, DRAWS.take([i])), together[i : i + 1], atol=1e-5, rtol=0)
    swapped = [2, 0, 1]
    torch.testing.assert_close(perturb(x[swapped], 4, DRAWS.take(swapped)), together[swapped], atol=1e-5, rtol=0)


def test_images_may_lie_in_memory_as_channels_last(perturb, x):
    lying = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(perturb(lying, 3, DRAWS), perturb(x, 3, DRAWS), atol=1e-5, rtol=0)


def test_it_says_whether_its_draws_matter(perturb, x):
    answers = [perturb(x, 3, DRAWS.fork("other", i)) for i in range(3)]
    assert perturb.random == any(not torch.equal(answers[0], other) for other in answers[1:])


def test_no_global_random_state_is_read_or_moved(perturb, x):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = perturb(x, 3, DRAWS)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(perturb(x, 3, DRAWS), first)


@pytest.mark.parametrize("severity", [0, 6, -1, 2.5, True])
def test_a_severity_that_there_is_not_is_refused_in_words(perturb, severity):
    with pytest.raises(PlanError, match=re.escape(f"1 (hardly seen) to 5 (hardly readable), got {severity!r}")):
        perturb(pictures(3, 48, 48), severity, DRAWS)


def test_two_channels_are_refused_by_name_or_are_images_too(perturb):
    two = pictures(1, 48, 48).expand(-1, 2, -1, -1)
    try:
        assert perturb(two, 2, DRAWS).shape == two.shape
    except ImageError as refusal:
        assert "2" in str(refusal)  # noqa: PT017


@pytest.mark.parametrize("side", [1, 2, 5])
def test_images_that_are_too_small_are_refused_in_words_or_are_images_too(perturb, side):
    tiny = pictures(3, side, side)
    try:
        after = perturb(tiny, 5, DRAWS)
    except ImageError as refusal:
        assert f"{side}x{side}" in str(refusal)  # noqa: PT017
    else:
        assert after.shape == tiny.shape
        assert after.isfinite().all()


def test_its_words_make_it_again(perturb):
    words = PERTURBATIONS.dump(perturb)
    assert PERTURBATIONS.parse(words) == perturb
    assert hash(PERTURBATIONS.parse(words)) == hash(perturb)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_frozen_set_of_documented_settings_that_says_where_it_happens(name):
    cls = PERTURBATIONS.find(name)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
    assert isinstance(PERTURBATIONS.parse(name), Perturbation)
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert all(document(cls)[f.name] for f in dataclasses.fields(cls) if f.init)
    assert set(cls.modalities) <= set(typing.get_args(Modality))


@pytest.mark.parametrize("name", sorted(PERTURBATIONS.presets))
def test_presets_are_what_they_stand_for(name):
    words = PERTURBATIONS.presets[name]
    method = PERTURBATIONS.parse(name)
    assert PERTURBATIONS.name(method) == words["name"]
    assert method != PERTURBATIONS.parse(words["name"]), "a preset that is the default says nothing"
