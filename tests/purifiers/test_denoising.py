"""Filters that take noise away: nearer to the image without it, and equal to the libraries that they rest on."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet, estimate_sigma

from robustdx.errors import ImageError
from robustdx.purifiers import Bilateral, Gaussian, Median, NonLocalMeans, SuperResolution, TotalVariation, Wavelet
from robustdx.purifiers.noise import noise_of
from tests.purifiers.specimens import DRAWS, distance, noisy, smooth

SIGMA = 0.06
FILTERS = {
    "bilateral": Bilateral(sigma_colour=0.5),
    "gaussian": Gaussian(sigma=0.8),
    "median": Median(),
    "non-local-means": NonLocalMeans(),
    "super-resolution": SuperResolution(),
    "total-variation": TotalVariation(weight=0.08, drop=0.2),
    "wavelet": Wavelet(sigma=SIGMA),
}


def picture(x):
    return x[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("purifier", FILTERS.values(), ids=list(FILTERS))
@pytest.mark.parametrize("channels", [1, 3])
def test_it_takes_noise_away(purifier, channels):
    x = smooth(channels, 48, 40)
    hit = noisy(x, SIGMA)
    assert distance(purifier(hit, DRAWS), x) < 0.85 * distance(hit, x)


def test_the_gaussian_is_scipys():
    x = noisy(smooth(1), 0.1)
    wanted = gaussian_filter(x[0, 0].numpy(), 1.0, radius=3, mode="nearest")
    np.testing.assert_allclose(Gaussian(sigma=1.0, size=7)(x, DRAWS)[0, 0].numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_noise_is_estimated_as_scikit_image_does(channels):
    x = noisy(smooth(channels, 48, 41), SIGMA)
    assert noise_of(picture(x)) == pytest.approx(estimate_sigma(picture(x), average_sigmas=True, channel_axis=-1), rel=1e-5)


@pytest.mark.parametrize("purifier", [NonLocalMeans(), Wavelet()], ids=["non-local-means", "wavelet"])
def test_where_there_is_no_noise_to_be_seen_the_image_stays(purifier):
    x = torch.full((3, 3, 16, 16), 0.3)
    torch.testing.assert_close(purifier(x, DRAWS), x, atol=1e-6, rtol=0)


def test_libraries_are_called_with_the_settings():
    x = noisy(smooth(), SIGMA)
    wavelet = denoise_wavelet(picture(x), sigma=0.1, wavelet="sym4", channel_axis=-1, convert2ycbcr=True, rescale_sigma=True)
    found = Wavelet(sigma=0.1, wavelet="sym4")(x, DRAWS)
    np.testing.assert_allclose(picture(found), wavelet.clip(0, 1), atol=1e-6)
    means = denoise_nl_means(picture(x), patch_size=5, patch_distance=3, h=0.05, sigma=0.1, channel_axis=-1)
    found = NonLocalMeans(patch=5, window=7, sigma=0.1, strength=0.5)(x, DRAWS)
    np.testing.assert_allclose(picture(found), means.clip(0, 1), atol=1e-6)


def test_with_every_pixel_kept_it_is_the_denoising_of_rudin_osher_and_fatemi():
    """scikit-image's weight multiplies the total variation beside half the squared distance, as here."""
    x = noisy(smooth(1), 0.1).double()
    wanted = denoise_tv_chambolle(x[0, 0].numpy(), weight=0.1, eps=0, max_num_iter=3000)
    found = TotalVariation(weight=0.1, drop=0.0, steps=3000)(x, DRAWS)[0, 0].numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_dropped_pixels_are_never_looked_at():
    x = noisy(smooth(), 0.05)
    purifier = TotalVariation(steps=10)
    dropped = (DRAWS.uniform(0, 1, like=x[:, :1]) < 0.5).expand_as(x)
    assert torch.equal(purifier(torch.where(dropped, 1 - x, x), DRAWS), purifier(x, DRAWS))
    assert not torch.equal(purifier(torch.where(dropped, x, 1 - x), DRAWS), purifier(x, DRAWS))


def test_dropped_pixels_are_filled_in():
    x = smooth(3, 48, 40)
    assert distance(TotalVariation(weight=0.01)(x, DRAWS), x) < 0.02


@pytest.mark.parametrize("purifier", [NonLocalMeans(), SuperResolution(), Wavelet()], ids=["nlm", "super-resolution", "wavelet"])
def test_images_too_small_are_refused_by_size(purifier):
    with pytest.raises(ImageError, match="at least 4x4 pixels, got 3x8"):
        purifier(torch.zeros(3, 3, 3, 8), DRAWS)
