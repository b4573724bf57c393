"""Artefacts of radiographs, said as what they do to a chest."""

import math
from itertools import pairwise

import pytest
import torch

from robustdx.perturbations import SEVERITIES
from robustdx.perturbations.artefacts.xray import XRAY, Collimation, Exposure, GridLines, Letters, Rotation, Tubes
from tests.perturbations.artefacts.pictures import DRAWS, assert_severities_mean_it, changed, chest, distances, read, rising


def test_exposure_makes_some_images_darker_and_others_paler():
    x = chest()
    shift = (Exposure(noise=(0,) * 5)(x, 3, DRAWS) - x).mean((1, 2, 3))
    assert shift.min() < -0.02
    assert shift.max() > 0.02


def test_without_noise_exposure_keeps_the_order_of_grey_values():
    ramp = torch.linspace(0, 1, 64).expand(6, 1, 64, 64)
    for severity in SEVERITIES:
        after = Exposure(noise=(0,) * 5)(ramp, severity, DRAWS)
        assert (after.diff(dim=3) >= 0).all()


def test_quantum_noise_is_strongest_where_few_rays_came_through():
    """Counted quanta behind a logarithm: the deviation grows with brightness."""
    dark, bright = torch.full((6, 1, 256, 256), 0.3), torch.full((6, 1, 256, 256), 0.7)
    only_noise = Exposure(bend=(0,) * 5, noise=(0.03,) * 5)
    ratio = only_noise(bright, 1, DRAWS).std((1, 2, 3)) / only_noise(dark, 1, DRAWS).std((1, 2, 3))
    torch.testing.assert_close(ratio, torch.full((6,), math.exp(1.1 * 0.4)), rtol=0.02, atol=0)


def test_grid_lines_are_parallel_and_regular():
    x = torch.full((6, 1, 256, 256), 0.5)
    waves = GridLines(cutoff=(0,) * 5)(x, 3, DRAWS) - 0.5
    for wave in waves[:, 0]:
        power = torch.fft.fft2(wave).abs().square()
        power[0, 0] = 0
        strongest = int(power.argmax())
        row, column = (k if k <= 128 else 256 - k for k in (strongest // 256, strongest % 256))
        assert min(row, column) <= 0.1 * max(row, column) + 1, "nearly upright or nearly level"
        assert power.flatten().topk(60).values.sum() > 0.8 * power.sum(), "few frequencies hold it all"


def test_grid_lines_fade_where_they_are_finer_than_pixels():
    large, small = torch.full((6, 1, 224, 224), 0.5), torch.full((6, 1, 28, 28), 0.5)
    lines = GridLines(cutoff=(0,) * 5)
    assert lines(small, 3, DRAWS).std() < 0.6 * lines(large, 3, DRAWS).std()


def test_tubes_are_dense_lines_that_cover_little():
    x = chest()
    for severity in SEVERITIES:
        after = Tubes()(x, severity, DRAWS)
        assert (after >= x - 1e-6).all()
        assert changed(after, x, by=0.05).float().mean() < 0.15
    assert changed(after, x, by=0.1).flatten(1).any(1).all()


def test_the_objects_of_a_severity_stay_in_the_next():
    x = torch.full((6, 1, 160, 160), 0.3)
    seen = [changed(Tubes()(x, severity, DRAWS), x, by=0.02) for severity in SEVERITIES]
    for few, more in pairwise(seen):
        assert (few & ~more).sum() < 0.01 * few.sum()
        assert more.sum() > few.sum()


def test_collimation_darkens_the_border_and_leaves_the_middle():
    x = chest()
    across, down = distances(128, 128)
    middle = torch.maximum(across.abs(), down.abs()) < 0.22
    for severity in SEVERITIES:
        after = Collimation()(x, severity, DRAWS)
        assert torch.equal(after[:, :, middle], x[:, :, middle])
        assert (after <= x).all()
    border = torch.maximum(across.abs(), down.abs()) > 0.48
    assert (after / x)[:, :, border].mean() < 0.15


def test_the_edges_of_collimation_are_straight():
    lit = Collimation(scatter=0)(torch.ones(6, 1, 200, 200), 5, DRAWS)[:, 0]
    for picture in lit:
        rows = torch.arange(70, 130)
        edge = picture[rows, :100].sum(1)
        line = torch.stack([rows.float(), torch.ones(60)], 1)
        residual = edge - line @ torch.linalg.lstsq(line, edge[:, None]).solution[:, 0]
        assert residual.abs().max() < 0.1


def test_a_patient_who_lies_askew_is_turned_by_more_and_more():
    across, _ = distances(129, 129)
    x = torch.exp(-((across / 0.02) ** 2)).expand(6, 1, -1, -1)
    tilts = []
    for severity in SEVERITIES:
        after = Rotation()(x, severity, DRAWS)[:, 0]
        places = (after * across).sum(2) / after.sum(2)
        tilts.append((places[:, 94] - places[:, 34]) / (60 / 129))
    angles = torch.stack(tilts).atan().rad2deg().abs()
    assert (angles.diff(dim=0) > 0).all()
    assert angles[-1].min() > 5
    assert angles[-1].max() < 14


def test_letters_are_white_and_stand_on_their_side():
    x = torch.full((6, 1, 200, 200), 0.3)
    after = Letters(words=(0,) * 5)(x, 4, DRAWS)
    marked = changed(after, x, by=0.3)
    assert after.amax((1, 2, 3)).min() > 0.8
    sides = set()
    for mark in marked:
        rows, columns = mark.nonzero(as_tuple=True)
        assert rows.max() < 0.35 * 200
        assert columns.max() < 0.3 * 200 or columns.min() > 0.7 * 200
        sides.add(bool(columns.max() < 100))
    assert sides == {True, False}


def test_words_join_the_marker_with_severity():
    x = torch.full((6, 1, 200, 200), 0.3)
    assert rising([int(changed(Letters()(x, severity, DRAWS), x, by=0.05).sum()) for severity in SEVERITIES])


@pytest.mark.parametrize("name", XRAY)
def test_colour_channels_of_a_grey_picture_stay_alike(name):
    after = XRAY[name]()(chest().expand(-1, 3, -1, -1), 4, DRAWS)
    torch.testing.assert_close(after, after[:, :1].expand(-1, 3, -1, -1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", XRAY)
def test_severities_mean_it_on_real_chests(name, real_data):
    assert_severities_mean_it(XRAY[name](), read(real_data / "cxr_pneumonia_224" / "chest_xray" / "train", "*/*.jpeg", "L", 8))
    assert_severities_mean_it(XRAY[name](), read(real_data / "cxr14_multilabel_64" / "images", "*.png", "L", 8))
