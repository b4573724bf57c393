"""JPEG is Pillow's; the form with a gradient stays near it."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from robustdx.errors import ImageError
from robustdx.purifiers import JPEG, JPEGDifferentiable
from tests.purifiers.specimens import DRAWS, distance, noisy, smooth


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [10, 75, 95])
def test_it_is_what_pillow_writes_and_reads(channels, quality):
    x = noisy(smooth(channels), 0.05)
    pure = JPEG(quality=quality)(x, DRAWS)
    for one, image in zip(pure, x, strict=True):
        file = BytesIO()
        Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy().squeeze()).save(file, "JPEG", quality=quality)
        read = np.asarray(Image.open(file)).reshape(*image.shape[1:], channels)
        assert torch.equal((one * 255).round().byte(), torch.from_numpy(read.copy()).permute(2, 0, 1))


def test_what_lies_between_two_shades_is_rounded_as_a_file_would():
    x = smooth()
    assert torch.equal(JPEG()(x + 0.3 / 255, DRAWS), JPEG()(x, DRAWS))


def test_colour_kept_fine_is_nearer():
    x = noisy(smooth(), 0.1)
    assert distance(JPEG(subsampling="4:4:4")(x, DRAWS), x) < distance(JPEG(subsampling="4:2:0")(x, DRAWS), x)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_form_with_a_gradient_is_near_the_file(channels):
    x = noisy(smooth(channels), 0.03)
    for quality in (50, 75, 90):
        file, slope = JPEG(quality=quality)(x, DRAWS), JPEGDifferentiable(quality=quality)(x, DRAWS)
        assert distance(slope, file) < 0.5 * distance(file, x)


@pytest.mark.parametrize("purifier", [JPEG(), JPEGDifferentiable()], ids=["jpeg", "jpeg-differentiable"])
def test_other_channels_are_refused_by_number(purifier):
    with pytest.raises(ImageError, match="1 or 3 channels, got 4"):
        purifier(torch.zeros(3, 4, 16, 16), DRAWS)
