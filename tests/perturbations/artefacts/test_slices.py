"""Artefacts of CT and MR slices, said as what they do to grey values and to k-space."""

from itertools import pairwise

import pytest
import torch
from scipy.special import jv

from robustdx.perturbations import SEVERITIES
from robustdx.perturbations.artefacts.slices import SLICES, BiasField, Ghosts, MetalStreaks, Motion, Window
from robustdx.perturbations.artefacts.slices.metal_streaks import dense_place
from tests.perturbations.artefacts.pictures import DRAWS, assert_severities_mean_it, changed, chest, distances, read, rising


def test_a_window_keeps_the_order_of_grey_values_and_clips_the_ends():
    ramp = torch.linspace(0, 1, 201).expand(6, 1, 8, 201)
    for severity, lost in zip(SEVERITIES, Window().lost, strict=True):
        after = Window()(ramp, severity, DRAWS)
        assert (after.diff(dim=3) >= 0).all()
        clipped = ((after == 0) | (after == 1)).float().mean((1, 2, 3))
        torch.testing.assert_close(clipped, torch.full((6,), lost), atol=0.011, rtol=0)


def test_each_window_lies_within_the_one_before():
    ramp = torch.linspace(0, 1, 201).expand(6, 1, 8, 201)
    inside = [(after > 0) & (after < 1) for after in (Window()(ramp, severity, DRAWS) for severity in SEVERITIES)]
    for wide, narrow in pairwise(inside):
        assert not (narrow & ~wide).any()


def test_metal_is_white_small_and_lies_in_something_dense():
    x = chest()
    place = dense_place(x, torch.rand(6, 12, 2, generator=torch.Generator().manual_seed(0)))
    across, down = (place[:, k].flatten() for k in (0, 1))
    lungs = torch.hypot((across.abs() - 0.2) / 0.6, down) < 0.2
    assert not lungs.any()
    after = MetalStreaks(amplitude=(0.0,) * 5)(x, 1, DRAWS)
    metal = changed(after, x, by=0.05)
    assert metal.flatten(1).any(1).all()
    assert metal.float().mean() < 0.003
    assert after.amax((1, 2, 3)).min() > 0.95


def test_streaks_are_the_same_in_opposite_directions_and_fade():
    x = torch.full((1, 1, 513, 513), 0.5)
    for i in range(6):
        streaks = MetalStreaks()(x, 1, DRAWS.take([i]))[0, 0] - 0.5
        metal = (streaks > 0.45).nonzero().float()
        row, column = metal.mean(0).round().int().tolist()
        reach = min(row, column, 512 - row, 512 - column)
        around = streaks[row - reach : row + reach + 1, column - reach : column + reach + 1]
        far = torch.hypot(*distances(*around.shape)) * len(around)
        ring = (far > 40) & (far < 0.9 * reach)
        assert torch.corrcoef(torch.stack([around[ring], around.flip(0, 1)[ring]]))[0, 1] > 0.6
        near, away = (far > 40) & (far < 60), (far > 0.7 * reach) & (far < reach)
        assert around[near].std() > around[away].std()


def test_motion_leaves_the_lines_that_were_measured_first():
    x = chest()
    still = Motion().still[2]
    before, after = torch.fft.fft2(x)[:, 0], torch.fft.fft2(Motion()(x * 0.5 + 0.25, 3, DRAWS))[:, 0] * 2
    rows, columns = (torch.fft.fftfreq(128).abs() for _ in range(2))
    untouched = (2 * rows[:, None] < still - 0.05) & (2 * columns[None] < still - 0.05)
    untouched[0, 0] = False
    torch.testing.assert_close(after[:, untouched], before[:, untouched], atol=0.5, rtol=0)


def test_motion_turns_phases_and_keeps_magnitudes():
    """A shift moves nothing into or out of a line of k-space."""
    x = chest() * 0.4 + 0.3
    before, after = torch.fft.fft2(x).abs(), torch.fft.fft2(Motion()(x, 4, DRAWS)).abs()
    torch.testing.assert_close(after, before, atol=2.0, rtol=0.02)


def test_ghosts_are_copies_at_even_distances_as_strong_as_bessel_functions_say():
    """A point: its copies lie every 1/n of the picture, J_k(a) strong."""
    x = torch.zeros(6, 1, 120, 120)
    x[:, :, 60, 60] = 1
    strength = 0.6
    after = Ghosts(strength=(strength,) * 5)(x, 1, DRAWS)[:, 0]
    seen = set()
    for picture in after:
        line = picture[:, 60] if picture[:, 60].sum() > picture[60].sum() else picture[60]
        assert line.sum() > 0.999 * picture.sum(), "along the phase direction only"
        copies = (line > 0.1).nonzero().flatten() - 60
        n = round(120 / int(copies[copies != 0].abs().min()))
        seen.add(n)
        if n > 3:  # fewer, and copies of different order fall together
            assert line[60] == pytest.approx(jv(0, strength), abs=0.01)
            assert line[60 + 120 // n] == pytest.approx(jv(1, strength), abs=0.01)
            assert line[60 - 120 // n] == pytest.approx(jv(1, strength), abs=0.01)
    assert seen <= {2, 3, 4, 5}
    assert seen & {4, 5}


def test_both_directions_of_phase_occur():
    x = torch.zeros(6, 1, 60, 60)
    x[:, :, 30, 30] = 1
    after = Ghosts()(x, 4, DRAWS)[:, 0]
    assert set((after[:, :, 30].sum(1) > after[:, 30].sum(1)).tolist()) == {True, False}


def test_a_bias_field_multiplies_and_drifts_slowly():
    x = torch.full((6, 1, 128, 128), 0.3)
    slow = []
    for severity in SEVERITIES:
        field = BiasField()(x, severity, DRAWS).log() - x.log()
        slow.append(float(field.std((1, 2, 3)).mean()))
        assert field.diff(dim=3).abs().max() < 0.1
        darker, shown = BiasField()(x / 3, severity, DRAWS) * 3, BiasField()(x, severity, DRAWS)
        torch.testing.assert_close(darker[shown < 1], shown[shown < 1])
    assert rising(slow)


def test_background_stays_black_under_a_bias_field():
    x = chest()
    x[:, :, :20] = 0
    assert BiasField()(x, 5, DRAWS)[:, :, :20].max() == 0


@pytest.mark.parametrize("name", SLICES)
def test_severities_mean_it_on_real_slices(name, real_data):
    """There is no MR here: slices of CT stand in for it."""
    x = read(real_data / "ct_sarscov2_256", "*/*.jpg", "L", 8, size=(160, 128))
    assert_severities_mean_it(SLICES[name](), x)
