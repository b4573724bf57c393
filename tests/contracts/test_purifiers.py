"""What every purifier in the catalogue promises. A new purifier is tested here without a line of its own."""

import dataclasses

import pytest
import torch

from robustdx.catalogue import document
from robustdx.data.in_memory import from_torch
from robustdx.draws import Draws
from robustdx.errors import ImageError, PlanError
from robustdx.purifiers import PURIFIERS

B = 4
DRAWS = Draws(3, tuple(f"img{i}" for i in range(B)))

CHEAP = {
    "chain": {"members": [{"name": "resize-pad", "scale": 1.6}, {"name": "gaussian"}]},
    "denoiser": {"width": 4, "epochs": 6, "batch_size": 4},
    "diffusion": {"width": 4, "epochs": 6, "batch_size": 4, "steps": 3},
    "pixel-deflection": {"deflections": 8, "window": 2},
    "resize-pad": {"scale": 1.6},
    "total-variation": {"steps": 12},
}
"""Settings under which a purifier does its work on small images, or in less time."""

REFUSED = {
    "bilateral": [{"size": 4}, {"sigma_space": 0.0}, {"sigma_colour": -0.1}],
    "bit-depth": [{"levels": 1}],
    "chain": [{"members": []}],
    "denoiser": [{"width": 0}, {"noise": 0.0}, {"epochs": 0}, {"lr": 0.0}, {"batch_size": 0}, {"sha256": "0" * 64}],
    "diffusion": [{"width": 0}, {"time": 0.0}, {"time": 1.5}, {"steps": 0}, {"lr": -1.0}, {"weights": "nowhere.safetensors"}],
    "feature-squeezing": [{"levels": 1}, {"size": 2}],
    "gaussian": [{"sigma": 0.0}, {"sigma": float("nan")}, {"size": 4}, {"size": -1}],
    "jpeg": [{"quality": 0}, {"quality": 101}],
    "jpeg-differentiable": [{"quality": 0}],
    "median": [{"size": 2}, {"size": 0}],
    "non-local-means": [{"patch": 2}, {"window": 10}, {"strength": 0.0}, {"sigma": -1.0}],
    "pixel-deflection": [{"deflections": 0}, {"window": 0}, {"sigma": 0.0}],
    "resize-pad": [{"scale": 0.9}, {"scale": float("inf")}],
    "super-resolution": [{"factor": 1.0}, {"sigma": 0.0}],
    "total-variation": [{"weight": 0.0}, {"drop": 1.0}, {"drop": -0.1}, {"steps": 0}],
    "wavelet": [{"wavelet": "db"}, {"sigma": -0.1}],
}
"""Settings that mean nothing, each to be refused in words that say so."""

SHAPES = {"colour": (3, 16, 16), "grey": (1, 16, 16), "odd sides": (3, 9, 7)}


@pytest.fixture(scope="module", params=sorted(PURIFIERS.methods))
def purifier(request, tmp_path_factory):
    purifier = PURIFIERS.parse({"name": request.param, **CHEAP.get(request.param, {})})
    return fitted(purifier, tmp_path_factory.mktemp("weights") / "learned.safetensors") if hasattr(purifier, "fit") else purifier


def fitted(purifier, out):
    """A purifier that learns, after a short lesson on noise in colour."""
    x = torch.randint(0, 256, (8, 3, 12, 12), generator=torch.Generator().manual_seed(2)) / 255
    data = from_torch([(image, i % 3) for i, image in enumerate(x)], classes="abc", task="multiclass")
    return purifier.fit(data, DRAWS, size=(12, 12), out=out)


@pytest.fixture(params=SHAPES.values(), ids=list(SHAPES))
def x(request, purifier):
    """Images with structure and noise, as 8 bits hold them; shapes that a purifier refuses in words are passed over."""
    channels, height, width = request.param
    g = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0.2, 0.8, height)[:, None] * torch.linspace(0.6, 1, width)
    x = ((ramp + 0.08 * torch.randn(B, channels, height, width, generator=g)).clamp(0, 1) * 255).round() / 255
    refusal = refused(purifier, x)
    if refusal:
        assert f"{height}x{width}" in refusal or f"got {channels}" in refusal, "a refusal names what came"
        pytest.skip(f"refused: {refusal}")
    return x


def refused(purifier, x):
    """What a purifier says against images of this shape; nothing, where it takes them."""
    try:
        purifier(x[:1], DRAWS.take([0]))
    except ImageError as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_images_come_back_in_the_shape_and_the_range_in_which_they_came(purifier, x, dtype):
    pure = purifier(x.to(dtype), DRAWS)
    assert (pure.shape, pure.dtype, pure.device) == (x.shape, dtype, x.device)
    assert pure.min() >= 0
    assert pure.max() <= 1
    assert pure.isfinite().all()


def test_black_white_and_flat_images_are_images_too(purifier, x):
    for shade in (0.0, 0.5, 1.0):
        pure = purifier(torch.full_like(x, shade), DRAWS)
        assert pure.isfinite().all()
        assert pure.min() >= 0
        assert pure.max() <= 1


def test_a_grey_picture_saved_in_colour_is_an_image_too(purifier):
    x = torch.rand(B, 1, 16, 16, generator=torch.Generator().manual_seed(1)).expand(-1, 3, -1, -1)
    assert purifier(x, DRAWS).isfinite().all()


def test_same_draws_same_answer_and_the_images_are_left_alone(purifier, x):
    before = x.clone()
    first = purifier(x, DRAWS)
    kept = first.clone()
    assert torch.equal(purifier(x, DRAWS), first)
    assert torch.equal(x, before)
    purifier(x, DRAWS).mul_(0)
    assert torch.equal(first, kept), "an answer is the caller's own"
    assert torch.equal(x, before)


def test_a_batch_equals_its_singles(purifier, x):
    together = purifier(x, DRAWS)
    for i in range(B):
        torch.testing.assert_close(purifier(x[i : i + 1], DRAWS.take([i])), together[i : i + 1], atol=1e-5, rtol=0)
    swapped = [2, 0, 3, 1]
    torch.testing.assert_close(purifier(x[swapped], DRAWS.take(swapped)), together[swapped], atol=1e-5, rtol=0)


def test_images_may_lie_in_memory_as_channels_last(purifier, x):
    torch.testing.assert_close(purifier(x.contiguous(memory_format=torch.channels_last), DRAWS), purifier(x, DRAWS), atol=1e-5, rtol=0)


def test_it_says_whether_its_draws_matter(purifier, x):
    answers = [purifier(x, DRAWS.fork("other", i)) for i in range(3)]
    assert purifier.random == any(not torch.equal(answers[0], other) for other in answers[1:])


def test_it_says_whether_its_gradient_is_true(purifier, x):
    """The slope that autograd sees is the slope there is; what has none gives a constant."""
    x = (0.1 + 0.8 * x).double() + 1e-3 * DRAWS.fork("untie").normal(like=x.double())
    weights, way = (DRAWS.fork(name).normal(like=x) for name in ("weights", "way"))
    alive = x.clone().requires_grad_()
    pure = purifier(alive, DRAWS)
    assert pure.requires_grad == purifier.differentiable
    if not purifier.differentiable:
        return
    (grad,) = torch.autograd.grad((weights * pure).sum(), alive)
    assert grad.isfinite().all()
    assert grad.flatten(1).any(1).all()
    h = 1e-6
    up, down = ((weights * purifier(x + side * h * way, DRAWS)).sum((1, 2, 3)) for side in (1, -1))
    torch.testing.assert_close((grad * way).sum((1, 2, 3)), (up - down) / (2 * h), rtol=1e-3, atol=1e-4)


def test_its_words_make_it_again(purifier):
    words = PURIFIERS.dump(purifier)
    assert PURIFIERS.parse(words) == purifier
    assert hash(PURIFIERS.parse(words)) == hash(purifier)


@pytest.mark.parametrize("name", sorted(PURIFIERS.methods))
def test_it_is_a_frozen_set_of_documented_settings(name):
    cls = PURIFIERS.find(name)
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert all(document(cls)[f.name] for f in dataclasses.fields(cls) if f.init)
    assert "(" in (cls.__doc__ or "") or name == "chain", "the first line names the source"


@pytest.mark.parametrize(("name", "settings"), [(n, s) for n, many in REFUSED.items() for s in many], ids=str)
def test_settings_that_mean_nothing_are_refused_in_words(name, settings):
    with pytest.raises(PlanError, match=next(iter(settings)).removesuffix("s")):
        PURIFIERS.parse({"name": name, **settings})
