"""Artefacts of fundus photographs, said as what they do to a retina and to the black around it."""

import pytest
import torch
from scipy.ndimage import convolve

from robustdx.perturbations import SEVERITIES
from robustdx.perturbations.artefacts.fields import luma
from robustdx.perturbations.artefacts.fundus import FUNDUS, Defocus, Dust, Haze, Illumination
from robustdx.perturbations.artefacts.fundus.field_of_view import field_of_view
from tests.perturbations.artefacts.pictures import DRAWS, assert_severities_mean_it, changed, distances, read, retina, rising


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", FUNDUS)
def test_black_around_the_field_of_view_stays_black(name, severity):
    x = retina()
    outside = torch.hypot(*distances(120, 160)) > 0.47
    assert FUNDUS[name]()(x, severity, DRAWS)[:, :, outside].max() < 1e-6


def test_the_field_of_view_has_no_holes_where_vessels_are():
    x = retina()
    seen = field_of_view(x)[:, 0] > 0
    far = torch.hypot(*distances(120, 160))
    assert seen[:, far < 0.44].all()
    assert not seen[:, far > 0.46].any()


def test_illumination_only_multiplies():
    """Two pictures under the same light: their ratio stays."""
    x = retina() * 0.5
    light = Illumination()(x, 4, DRAWS)
    half = Illumination()(x / 2, 4, DRAWS)
    torch.testing.assert_close(light, 2 * half)


def test_one_side_lies_in_shadow_and_another_is_lit():
    x = torch.full((6, 3, 96, 96), 0.5)
    depths = []
    for severity in SEVERITIES:
        after = luma(Illumination()(x, severity, DRAWS))
        depths.append(1 - float(after.amin((1, 2, 3)).mean()) / 0.5)
        assert after.amax((1, 2, 3)).min() > 0.48
    assert rising(depths)
    assert depths[-1] > 0.6


def test_dust_covers_little_and_is_pale_or_dark():
    x = retina()
    after = Dust()(x, 3, DRAWS)
    difference = luma(after) - luma(x)
    assert changed(after, x, by=0.02).float().mean() < 0.15
    assert difference.max() > 0.05
    assert difference.min() < -0.02


def test_defocus_is_a_mean_over_a_disc():
    """Against scipy's convolution with a disc of the same radius, away from its soft edge's few per cent."""
    x = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.2
    ours = Defocus(radius=(5 / 96,) * 5)(x, 1, DRAWS.take([0]))[0, 0]
    rows, columns = torch.meshgrid(torch.arange(-6, 7), torch.arange(-6, 7), indexing="ij")
    disc = (torch.hypot(rows.float(), columns.float()) <= 5).float()
    theirs = torch.from_numpy(convolve(x[0, 0].numpy(), (disc / disc.sum()).numpy(), mode="nearest"))
    torch.testing.assert_close(ours[8:-8, 8:-8], theirs[8:-8, 8:-8], atol=0.03, rtol=0)


def test_defocus_keeps_the_rim_of_the_field_of_view_sharp():
    x = torch.where(torch.hypot(*distances(120, 160)) < 0.4, 0.6, 0.0).expand(1, 3, -1, -1)
    torch.testing.assert_close(Defocus()(x, 5, DRAWS.take([0])), x, atol=1e-4, rtol=0)


def test_haze_takes_contrast_away_more_and_more():
    x = retina()
    inside = torch.hypot(*distances(120, 160)) < 0.42
    contrast = [float(Haze()(x, severity, DRAWS)[:, :, inside].std(2).mean()) for severity in SEVERITIES]
    assert rising([-c for c in [float(x[:, :, inside].std(2).mean()), *contrast]])


def test_haze_is_a_little_yellow():
    x = torch.full((6, 3, 64, 64), 0.4)
    after = Haze()(x, 4, DRAWS).mean((2, 3))
    assert (after[:, 0] > after[:, 2]).all()
    assert (after[:, 1] > after[:, 2]).all()


@pytest.mark.parametrize("name", FUNDUS)
def test_severities_mean_it_on_real_retinas(name, real_data):
    x = read(real_data / "fundus_dr_grading_480" / "train_images", "*.jpg", "RGB", 6, size=(240, 160))
    assert_severities_mean_it(FUNDUS[name](), x)
