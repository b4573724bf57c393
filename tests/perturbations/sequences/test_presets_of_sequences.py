"""What the benchmarks measure, number by number."""

from math import cos, radians, sin

import numpy as np
import pytest
import torch

from robustdx.errors import PlanError
from robustdx.perturbations.sequences import SEQUENCES
from robustdx.perturbations.sequences.frames import places
from robustdx.perturbations.sequences.presets import PRESETS, preset

COUNTS = {"xu2021": 10, "imagenet-p": 31, "centred": 11}

TABLE = {
    "brightness": ("first", "step", lambda i: (i - 15) * 0.02, (-0.30, -0.12)),
    "translate": ("first", "step", lambda i: i - 20, (-20, -11)),
    "rotate": ("first", "step", lambda i: i - 15, (-15, -6)),
    "tilt": ("first", "step", lambda i: i - 15, (-15, -6)),
    "scale": ("first", "step", lambda i: (40 + 2.5 * i) / 100, (0.40, 0.625)),
    "gaussian_blur": ("first", "step", lambda i: 0.25 + 0.035 * i, (0.25, 0.565)),
    "shear": ("first", "step", lambda i: i - 15, (-15, -6)),
    "motion_blur": ("angle", "angle_step", lambda i: (i - 30) * 4, (-120, -84)),
    "snow": ("angle", "angle_step", lambda i: 4 * i - 150, (-150, -114)),
}
"""papers.md 4.8: the parameter of frame i as released, and that of the first and the tenth frame."""

FIXED = {
    "gaussian_noise": {"std": 0.03},
    "shot_noise": {"photons": 300},
    "speckle_noise": {"std": 0.05},
    "zoom_blur": {"step": 0.004},
    "motion_blur": {"radius": 10, "sigma": 3, "strength": 1, "strength_step": 0},
    "snow": {"mean": 0.05, "std": 0.3, "flake": 3, "threshold": 0.5, "radius": 14, "sigma": 4, "amount": 1, "amount_step": 0},
    "gaussian_blur": {"truncate": 6},
    "spatter": {"mean": 0.65, "std": 0.27, "sigma": 3.7, "threshold": 0.69, "amount": 1, "amount_step": 0},
}
"""What is the same in all frames."""


def released(name):
    made, count = preset(name)
    return dict(made), count


@pytest.mark.parametrize("name", TABLE)
def test_xu2021_has_the_released_offsets(name):
    made, count = released("xu2021")
    first, step, formula, ends = TABLE[name]
    found = places(getattr(made[name], first), getattr(made[name], step), count)
    assert count == 10
    assert found == pytest.approx([formula(i) for i in range(10)])
    assert (found[0], found[-1]) == pytest.approx(ends)


@pytest.mark.parametrize("name", FIXED)
def test_xu2021_has_the_released_constants(name):
    made, _ = released("xu2021")
    assert {key: getattr(made[name], key) for key in FIXED[name]} == FIXED[name]


def test_the_table_leaves_no_sequence_out():
    assert set(TABLE) | set(FIXED) == set(SEQUENCES.own)
    assert len(SEQUENCES.own) == 14


def test_what_moves_is_filled_with_black_as_released():
    made, _ = released("xu2021")
    assert {made[name].fill for name in ("translate", "rotate", "tilt", "scale", "shear")} == {"black"}


def test_noise_alone_is_compared_with_the_first_frame():
    assert {name for name, s in released("xu2021")[0].items() if s.compared == "first"} == {n for n in SEQUENCES.own if "noise" in n}


def test_imagenet_p_goes_on_where_xu2021_ends():
    long, count = released("imagenet-p")
    assert count == 31
    assert long == released("xu2021")[0]
    for name in ("brightness", "translate", "rotate", "tilt", "shear"):
        values = places(long[name].first, long[name].step, count)
        assert min(values) < 0 < max(values), "two-sided"
        assert any(abs(v) < 1e-9 for v in values)


def test_xu2021_never_shows_the_clean_image_where_it_is_one_sided(draws):
    made, count = released("xu2021")
    x = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    clean = {name for name, s in made.items() if any(torch.equal(f, x) for f in s.frames(x, count, draws))}
    assert clean == {"gaussian_noise", "shot_noise", "speckle_noise", "zoom_blur"}


def test_centred_has_both_sides():
    made, count = released("centred")
    for name in ("brightness", "translate", "rotate", "tilt", "shear", "gaussian_blur"):
        values = places(made[name].first, made[name].step, count)
        assert values == pytest.approx([-v for v in reversed(values)])
        assert values[count // 2] == 0
    assert places(made["scale"].first, made["scale"].step, count, clean=1) == pytest.approx(np.linspace(0.875, 1.125, 11))


@pytest.mark.parametrize("name", COUNTS)
def test_the_number_of_frames(name):
    assert preset(name)[1] == COUNTS[name] == PRESETS[name].count


def test_centred_is_what_the_bare_names_mean():
    assert released("centred")[0] == {name: SEQUENCES.parse(name) for name in SEQUENCES.own}
    assert preset()[0] == preset("centred")[0]


def test_a_size_of_ones_own():
    made = dict(preset("xu2021", side=256)[0])
    assert {s.side for s in made.values() if hasattr(s, "side")} == {256}
    assert made["rotate"] == dict(preset("xu2021")[0])["rotate"]


def test_a_preset_that_does_not_exist_is_refused_with_the_nearest_name():
    with pytest.raises(PlanError, match="did you mean xu2021"):
        preset("xu2020")


def test_the_trail_of_motion_blur_points_where_the_table_says():
    made, count = released("xu2021")
    for i, line in enumerate(made["motion_blur"].lines(count)):
        angle = radians((i - 30) * 4)
        assert line[0][:2] == (0, 0)
        for dx, dy, _ in line:
            along = dx * cos(angle) + dy * sin(angle)
            assert abs(dx - along * cos(angle)) <= 0.75
            assert abs(dy - along * sin(angle)) <= 0.75
            assert along >= 0
        assert sum(weight for *_, weight in line) == pytest.approx(1, abs=1e-5)
