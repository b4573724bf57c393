"""Pixels and files: what an image loses on its way through Pillow."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from robustdx.draws import Draws
from robustdx.errors import ImageError
from robustdx.perturbations.corruptions import JPEGCompression, Pixelate

DRAWS = Draws(0, ("a",))


def picture(channels=3, side=224):
    x = torch.rand(1, channels, side // 8, side // 8, generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.interpolate(x, scale_factor=8, mode="bicubic").clamp(0, 1)
    return (x * 255).round() / 255


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillows(channels):
    x = picture(channels)
    pixels = (x[0] * 255).byte().permute(1, 2, 0).numpy()
    file = BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(file, "JPEG", quality=8)
    expected = np.asarray(Image.open(file)).reshape(224, 224, channels)
    ours = (JPEGCompression()(x, 4, DRAWS)[0] * 255).round().byte().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(ours, expected)


def test_pixelate_has_blocks_of_one_mean():
    blocks = Pixelate()(picture(), 5, DRAWS)
    wide = blocks.view(1, 3, 56, 4, 56, 4)
    assert torch.equal(wide.amax((3, 5)), wide.amin((3, 5)))
    torch.testing.assert_close(wide.mean((3, 5)), picture().view(1, 3, 56, 4, 56, 4).mean((3, 5)), atol=1.1 / 255, rtol=0)


def test_pixelate_refuses_images_of_which_nothing_would_be_left():
    with pytest.raises(ImageError, match="pixelate needs images of at least 5x5 pixels, got 4x9"):
        Pixelate()(torch.rand(1, 3, 4, 9), 1, DRAWS)
