"""Blurs against scipy, and against what they do to a single point."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate, gaussian_filter, zoom

from robustdx.draws import Draws
from robustdx.errors import ImageError
from robustdx.perturbations import PERTURBATIONS, SEVERITIES
from robustdx.perturbations.corruptions import DefocusBlur, GaussianBlur, GlassBlur, MotionBlur, ZoomBlur
from robustdx.perturbations.corruptions.shuffle import taken_from
from robustdx.perturbations.kernels import bell, convolve, disk, streak

DRAWS = Draws(0, ("a", "b"))


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def point(side):
    x = torch.zeros(1, 1, side, side)
    x[..., side // 2, side // 2] = 1
    return x


@pytest.mark.parametrize("severity", SEVERITIES)
def test_gaussian_blur_is_scipys_at_224(severity):
    x = noise(2, 3, 224, 240)
    sigma = GaussianBlur().sigma[severity - 1]
    expected = gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="nearest")
    np.testing.assert_allclose(GaussianBlur()(x, severity, DRAWS).numpy(), expected, atol=1e-12)


def test_gaussian_blur_grows_with_the_image():
    x = noise(1, 1, 448, 448)
    expected = gaussian_filter(x.numpy(), (0, 0, 4, 4), mode="nearest")
    np.testing.assert_allclose(GaussianBlur()(x, 2, DRAWS).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("severity", [1, 5])
def test_defocus_makes_a_disk_of_the_radius_of_its_table(severity):
    radius = DefocusBlur().radius[severity - 1]
    spot = DefocusBlur()(point(224), severity, DRAWS)[0, 0]
    rows, columns = torch.meshgrid(torch.arange(224) - 112, torch.arange(224) - 112, indexing="ij")
    far = (rows**2 + columns**2).sqrt()
    assert float(spot.sum()) == pytest.approx(1, abs=1e-4)
    assert float(spot[far <= radius].sum()) > 0.95
    assert float(spot[far <= radius - 2].std()) < 1e-3 / radius, "as bright in the middle as near its edge"


@pytest.mark.parametrize(("size", "taps"), [(9, 81), (15, 225)])
def test_both_ways_to_blur_with_a_kernel_are_scipys_correlation(size, taps):
    kernel = noise(size, size)
    x = noise(2, 3, 40, 33)
    for border, mode in (("replicate", "nearest"), ("reflect", "mirror")):
        ours = convolve(x, [kernel], border, "test")
        expected = correlate(x.numpy(), kernel.numpy()[None, None], mode=mode)
        np.testing.assert_allclose(ours.numpy(), expected, atol=1e-9, err_msg=f"{taps} taps")


def test_a_streak_is_as_long_and_lies_in_the_direction_that_was_asked_for():
    kernel = streak(10, 3, 30.0, 1)
    middle = len(kernel) // 2
    rows, columns = kernel.nonzero().T - middle
    assert 18 <= len(rows) <= 21, "one tap a pixel, but for those that fall on the same"
    assert int(rows.max()) == pytest.approx(20 * math.sin(math.radians(30)), abs=1)
    assert int(columns.max()) == pytest.approx(20 * math.cos(math.radians(30)), abs=1)
    assert float(kernel[middle, middle]) == float(kernel.max())


@pytest.mark.parametrize("kernel", [bell(2, 1)[None], bell(3, 0.2)[None], disk(4, 0.5, 1), disk(10, 0.5, 0.1), streak(15, 8, -20, 0.3)])
def test_kernels_sum_to_one(kernel):
    assert float(kernel.sum()) == pytest.approx(1)
    assert (kernel >= 0).all()
    assert all(side % 2 for side in kernel.shape)


def test_motion_blur_has_one_direction_at_all_severities():
    spots = [MotionBlur()(point(224), severity, DRAWS.take([0]))[0, 0] for severity in SEVERITIES]
    ways = []
    for spot in spots:
        at = spot.nonzero().float() - 112
        ways.append(float(torch.atan2(*-(at * spot[spot > 0][:, None]).sum(0))))  # a pixel shows what lies along the streak
    assert max(ways) - min(ways) < math.radians(4)
    assert abs(math.degrees(ways[0])) <= 45


def test_zoom_blur_is_the_mean_of_zooms():
    x = noise(1, 1, 224, 224)
    zooms = np.arange(1, 1.21, 0.02)
    mean = x[0, 0].numpy().copy()
    for factor in zooms:
        side = math.ceil(224 / factor)
        first = (224 - side) // 2
        large = zoom(x[0, 0].numpy()[first : first + side, first : first + side], factor, order=1)
        trim = (len(large) - 224) // 2
        mean += large[trim : trim + 224, trim : trim + 224]
    np.testing.assert_allclose(PERTURBATIONS.parse("zoom_blur_standard")(x, 3, DRAWS)[0, 0].numpy(), mean / (len(zooms) + 1), atol=1e-9)


@pytest.mark.parametrize(("severity", "count"), [(1, 11), (2, 16), (3, 11), (4, 13), (5, 11)])
def test_zoom_blur_takes_the_zooms_below_the_largest(severity, count, monkeypatch):
    factors = []
    monkeypatch.setattr("robustdx.perturbations.corruptions.zoom_blur.zoomed", lambda x, f: factors.append(f) or x)
    PERTURBATIONS.parse("zoom_blur_standard")(noise(1, 1, 16, 16), severity, DRAWS)
    assert len(factors) == count - 1, "and the image itself, a zoom of 1"
    assert max(factors) < ZoomBlur().largest[severity - 1]


def test_glass_takes_pixels_from_near_by_and_leaves_a_border():
    moves = [np.random.default_rng(i).random((30, 40, 2), dtype=np.float32) for i in range(2)]
    source = taken_from(moves, 3)
    rows, columns = np.divmod(source, 40)
    away = np.maximum(abs(rows - np.arange(30)[:, None]), abs(columns - np.arange(40)))
    assert (away[:4] == 0).all()
    assert (away[:, :4] == 0).all()
    assert away[4:28, 4:38].mean() > 1
    assert np.median(away) <= 6


def test_glass_is_the_plain_loop():
    """The order matters: a pixel may take what has been taken already."""
    move = np.random.default_rng(0).random((12, 14, 2), dtype=np.float32)
    image = np.arange(12 * 14).reshape(12, 14)
    for i in range(12 - 2, 2, -1):
        for j in range(14 - 2, 2, -1):
            down, right = np.floor(move[i, j] * 4).astype(int) - 2
            image[i, j] = image[i + down, j + right]
    np.testing.assert_array_equal(taken_from([move], 2), image)


@pytest.mark.parametrize(
    "method", [GaussianBlur(sigma=(90,) * 5), DefocusBlur(radius=(300,) * 5), MotionBlur(radius=(300,) * 5), GlassBlur()]
)
def test_images_smaller_than_a_kernel_are_refused_in_words(method):
    size = 224 if not isinstance(method, GlassBlur) else 3
    with pytest.raises(ImageError, match=rf"_blur needs images of at least \d+x\d+ pixels, got {size}x{size}"):
        method(noise(2, 3, size, size), 1, DRAWS)
