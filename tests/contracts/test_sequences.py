"""What every sequence in the catalogue promises. A new sequence is tested here without a line of its own."""

import dataclasses
from itertools import islice

import pytest
import torch

from robustdx.catalogue import document
from robustdx.draws import Draws
from robustdx.errors import ImageError, PlanError
from robustdx.perturbations import SEQUENCES, FrameSequence
from robustdx.perturbations.sequences.presets import PRESETS, preset

B, COUNT = 3, 5
DRAWS = Draws(3, tuple(f"img{i}" for i in range(B)))
SHAPES = {"colour": (3, 32, 32), "grey": (1, 32, 32), "odd sides": (3, 19, 25), "smaller than kernels": (3, 8, 8), "wide": (3, 12, 40)}

REFUSED = {
    "gaussian_noise": [{"std": 0.0}, {"std": -0.1}],
    "shot_noise": [{"photons": 0.0}],
    "motion_blur": [{"radius": 0.0}, {"sigma": 0.0}, {"angle": float("nan")}, {"side": 0}],
    "zoom_blur": [{"step": 0.0}],
    "snow": [{"std": 0.0}, {"flake": 0.0}, {"amount": -0.1}, {"threshold": float("inf")}],
    "brightness": [{"first": float("nan")}],
    "translate": [{"step": float("inf")}, {"side": -1}, {"fill": "white"}],
    "rotate": [{"first": float("inf")}, {"fill": "reflect"}],
    "tilt": [{"step": float("nan")}],
    "scale": [{"first": float("nan")}],
    "speckle_noise": [{"std": float("nan")}],
    "gaussian_blur": [{"truncate": 0.0}, {"side": 0}],
    "spatter": [{"std": 0.0}, {"sigma": 0.0}, {"amount_step": -0.1}],
    "shear": [{"step": float("inf")}],
}
"""Settings that mean nothing, each to be refused in words that name it."""


@pytest.fixture(params=["centred", "xu2021"])
def setting(request):
    """Ours and the released settings, which `imagenet-p` shares."""
    return request.param


@pytest.fixture(params=sorted(SEQUENCES.methods))
def sequence(request, setting):
    """A sequence as each preset has it."""
    return SEQUENCES.parse({"name": request.param, **PRESETS[setting].settings.get(request.param, {})})


@pytest.fixture(params=SHAPES.values(), ids=list(SHAPES))
def x(request):
    """Images with structure and noise, as 8 bits hold them, black corners among them."""
    return images(*request.param)


def images(channels, height, width):
    g = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0.0, 0.8, height)[:, None] * torch.linspace(0.3, 1, width)
    return ((ramp + 0.08 * torch.randn(B, channels, height, width, generator=g)).clamp(0, 1) * 255).round() / 255


def clip(sequence, x, draws=DRAWS, count=COUNT):
    return torch.stack(list(sequence.frames(x, count, draws)))


def test_it_is_a_sequence(sequence):
    assert isinstance(sequence, FrameSequence)
    assert sequence.compared in ("previous", "first")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_frames_come_in_the_number_the_shape_and_the_range_that_were_asked_for(sequence, x, dtype):
    made = list(sequence.frames(x.to(dtype), COUNT, DRAWS))
    assert len(made) == COUNT
    for frame in made:
        assert (frame.shape, frame.dtype, frame.device) == (x.shape, dtype, x.device)
        assert frame.isfinite().all()
        assert frame.min() >= 0
        assert frame.max() <= 1


def test_something_moves(sequence):
    made = clip(sequence, images(3, 224, 224))
    reference = made[:-1] if sequence.compared == "previous" else made[:1]
    assert ((made[1:] - reference).abs().amax((1, 2, 3, 4)) > 0.5 / 255).all()


def test_black_white_and_flat_images_are_images_too(sequence, x):
    for shade in (0.0, 0.5, 1.0):
        made = clip(sequence, torch.full_like(x, shade), count=3)
        assert made.isfinite().all()
        assert made.min() >= 0
        assert made.max() <= 1


def test_same_draws_same_frames_and_the_images_are_left_alone(sequence, x):
    before = x.clone()
    first = clip(sequence, x)
    assert torch.equal(clip(sequence, x), first)
    for frame in sequence.frames(x, COUNT, DRAWS):
        frame.mul_(0)
    assert torch.equal(x, before), "a frame is the caller's own"
    assert torch.equal(clip(sequence, x), first)


def test_a_frame_may_be_written_over_while_the_next_is_made(sequence):
    x = images(3, 32, 32)
    kept = [frame.clone() for frame in sequence.frames(x, COUNT, DRAWS)]
    for frame, other in zip(sequence.frames(x, COUNT, DRAWS), kept, strict=True):
        assert torch.equal(frame, other)
        frame.zero_()


def test_a_batch_equals_its_singles(sequence, x):
    together = clip(sequence, x)
    for i in range(B):
        torch.testing.assert_close(clip(sequence, x[i : i + 1], DRAWS.take([i])), together[:, i : i + 1], atol=1e-5, rtol=0)
    swapped = [2, 0, 1]
    torch.testing.assert_close(clip(sequence, x[swapped], DRAWS.take(swapped)), together[:, swapped], atol=1e-5, rtol=0)


def test_a_longer_clip_of_the_same_first_frame_begins_the_same(sequence, setting):
    if setting == "centred":
        pytest.skip("has its middle elsewhere")
    x = images(3, 32, 32)
    torch.testing.assert_close(clip(sequence, x, count=7)[:COUNT], clip(sequence, x), atol=1e-6, rtol=0)


def test_images_may_lie_in_memory_as_channels_last(sequence, x):
    other = clip(sequence, x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(other, clip(sequence, x), atol=1e-5, rtol=0)


def test_frames_are_made_one_at_a_time(sequence):
    """A million frames are asked for, and three are taken."""
    x = images(1, 8, 8)[:1]
    if sequence.compared == "first" or not hasattr(sequence, "first"):
        made = sequence.frames(x, 10**6 if sequence.compared == "first" else 1000, DRAWS.take([0]))
    else:
        made = sequence.frames(x, 40, DRAWS.take([0]))
    assert iter(made) is made, "an iterator, not a list"
    assert len(list(islice(made, 3))) == 3


def test_it_says_whether_its_draws_matter(sequence):
    x = images(3, 64, 64)
    clips = [clip(sequence, x, DRAWS.fork("other", i)) for i in range(3)]
    assert sequence.random == any(not torch.equal(clips[0], other) for other in clips[1:])


def test_noise_starts_clean_and_is_compared_with_the_first_frame(sequence, x):
    if sequence.compared == "first":
        frames = clip(sequence, x)
        assert torch.equal(frames[0], x)
        assert all(not torch.equal(frames[1], later) for later in frames[2:]), "noise is drawn anew"


@pytest.mark.parametrize("count", [2, 5, 10, 11])
@pytest.mark.parametrize("name", sorted(SEQUENCES.methods))
def test_by_default_the_clean_image_is_among_the_frames(name, count):
    x = images(3, 30, 40)
    frames = clip(SEQUENCES.parse(name), x, count=count)
    assert any(torch.equal(frame, x) for frame in frames)


def test_a_single_frame_is_refused_in_words(sequence, x):
    with pytest.raises(PlanError, match="at least 2 frames, got 1"):
        sequence.frames(x, 1, DRAWS)


@pytest.mark.parametrize(("shape", "words"), [((2, 32, 32), "1 or 3 channels, got 2"), ((3, 7, 32), "at least 8x8 pixels, got 7x32")])
def test_images_it_cannot_take_are_refused_in_words_before_the_first_frame(sequence, shape, words):
    with pytest.raises(ImageError, match=words):
        sequence.frames(images(*shape), COUNT, DRAWS)


def test_images_outside_the_range_are_refused_in_words(sequence):
    with pytest.raises(ImageError, match=r"images must lie in \[0, 1\]"):
        sequence.frames(images(3, 32, 32) * 2 - 1, COUNT, DRAWS)


def test_its_words_make_it_again(sequence):
    words = SEQUENCES.dump(sequence)
    assert SEQUENCES.parse(words) == sequence
    assert hash(SEQUENCES.parse(words)) == hash(sequence)


@pytest.mark.parametrize("name", sorted(SEQUENCES.methods))
def test_it_is_a_frozen_set_of_documented_settings(name):
    cls = SEQUENCES.find(name)
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert all(document(cls)[f.name] for f in dataclasses.fields(cls) if f.init)
    assert "(Hendrycks" in cls.__doc__.splitlines()[0], "the first line names the source"


@pytest.mark.parametrize("name", sorted(SEQUENCES.methods))
def test_settings_that_mean_nothing_are_refused_in_words(name):
    for settings in REFUSED[name]:
        with pytest.raises(PlanError, match=next(iter(settings))):
            SEQUENCES.parse({"name": name, **settings})


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_has_every_sequence(name):
    made, count = preset(name)
    assert [key for key, _ in made] == list(SEQUENCES.own)
    assert count == PRESETS[name].count
