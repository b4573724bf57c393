"""Blurs beside scikit-image and sums written out, and brightness beside the way through HSV."""

from itertools import pairwise
from math import ceil, cos, exp, radians, sin

import numpy as np
import pytest
import torch
from skimage.color import hsv2rgb, rgb2hsv
from skimage.filters import gaussian

from robustdx.perturbations.sequences import Brightness, GaussianBlur, MotionBlur


def only(sequence, x, draws):
    return next(iter(sequence.frames(x, 2, draws)))


def pictures(x):
    return x.permute(0, 2, 3, 1).double().numpy()


@pytest.mark.parametrize("sigma", [0.25, 0.565, 1.3])
def test_gaussian_blur_is_scikit_images(draws, sigma):
    x = torch.rand(2, 1, 224, 230)
    found = only(GaussianBlur(first=sigma), x, draws)
    wanted = np.stack([gaussian(p, sigma=sigma, truncate=6.0, channel_axis=-1, mode="nearest") for p in pictures(x)])
    np.testing.assert_allclose(pictures(found), wanted, atol=1e-5)


def test_a_focus_before_the_image_blurs_as_one_behind_it(x, draws):
    frames = list(GaussianBlur().frames(x, 11, draws))
    for before, after in zip(frames, reversed(frames), strict=True):
        assert torch.equal(before, after)
    assert torch.equal(frames[5], x)


@pytest.mark.parametrize("side", [112, 336])
def test_other_sizes_are_blurred_over_the_same_share(draws, side):
    x = torch.rand(2, 1, side, side + 9)
    assert torch.equal(only(GaussianBlur(first=1.0), x, draws), only(GaussianBlur(first=1.0 * side / 224, side=side), x, draws))
    line = MotionBlur(strength=1.0)
    same = MotionBlur(strength=1.0, radius=10 * side / 224, sigma=3 * side / 224, side=side)
    assert torch.equal(only(line, x, draws), only(same, x, draws))


def imagemagick(picture, radius, sigma, angle):
    """The one-sided motion blur of ImageMagick, pixel by pixel, edges going on."""
    h, w, _ = picture.shape
    count = 2 * ceil(radius) + 1
    weights = [exp(-(i**2) / (2 * sigma**2)) for i in range(count)]
    out = np.zeros_like(picture)
    for y in range(h):
        for x in range(w):
            for i, weight in enumerate(weights):
                dx, dy = ceil(i * cos(radians(angle)) - 0.5), ceil(i * sin(radians(angle)) - 0.5)
                out[y, x] += weight * picture[min(max(y + dy, 0), h - 1), min(max(x + dx, 0), w - 1)]
    return out / sum(weights)


@pytest.mark.parametrize("angle", [-116.0, -84.0, 37.0])
def test_motion_blur_is_imagemagicks(draws, angle):
    x = torch.rand(2, 3, 12, 18)
    found = only(MotionBlur(strength=1.0, strength_step=0.0, angle=angle, side=12), x, draws)
    wanted = np.stack([imagemagick(p, 10, 3, angle) for p in pictures(x)])
    np.testing.assert_allclose(pictures(found), wanted, atol=2e-5)


def test_by_default_the_hand_comes_from_one_side_and_goes_to_the_other(draws):
    spot = torch.zeros(1, 1, 224, 224)
    spot[..., 112, 112] = 1
    frames = list(MotionBlur().frames(spot, 11, draws))
    assert torch.equal(frames[5], spot)
    centres = [float((frame[0, 0].sum(0) * torch.arange(224)).sum()) for frame in frames]
    assert all(a > b for a, b in pairwise(centres)), "the spot passes from one side to the other"
    assert centres[0] - 112 == pytest.approx(112 - centres[-1], abs=1e-2)


@pytest.mark.parametrize("shift", [-0.3, -0.12, 0.1])
def test_brightness_is_a_change_of_v_in_hsv(draws, shift):
    x = torch.rand(2, 3, 20, 20)
    x[:, :, :2] = 0
    found = only(Brightness(first=shift), x, draws)
    for own, picture in zip(pictures(found), pictures(x), strict=True):
        hsv = rgb2hsv(picture)
        hsv[..., 2] = np.clip(hsv[..., 2] + shift, 0, 1)
        np.testing.assert_allclose(own, hsv2rgb(hsv), atol=1e-5)


def test_grey_images_get_brighter_too(draws):
    x = torch.rand(2, 1, 20, 20)
    torch.testing.assert_close(only(Brightness(first=0.1), x, draws), (x + 0.1).clamp(0, 1))
