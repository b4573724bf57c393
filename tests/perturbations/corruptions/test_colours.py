"""Brightness, contrast and saturation against scikit-image's HSV."""

import numpy as np
import pytest
import torch
from skimage.color import hsv2rgb, rgb2hsv

from robustdx.draws import Draws
from robustdx.errors import ImageError
from robustdx.perturbations import PERTURBATIONS, SEVERITIES
from robustdx.perturbations.corruptions import Brightness, Contrast, Saturate

DRAWS = Draws(0, ("a",))


def colours():
    """Random colours, with grey, black, white and pure ones among them."""
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[0, :, 0] = x[0, :1, 0]
    x[0, :, 1] = torch.tensor([0.0, 0.5, 1.0]).double().repeat(11)[:32]
    x[0, :, 2] = torch.eye(3).double().repeat(1, 11)[:, :32]
    return x


def in_hsv(x, change):
    hsv = rgb2hsv(x[0].permute(1, 2, 0).numpy())
    return hsv2rgb(change(hsv)).transpose(2, 0, 1)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_is_v_in_hsv(severity):
    def brighter(hsv):
        hsv[..., 2] = np.clip(hsv[..., 2] + Brightness().amount[severity - 1], 0, 1)
        return hsv

    np.testing.assert_allclose(Brightness()(colours(), severity, DRAWS)[0].numpy(), in_hsv(colours(), brighter), atol=1e-9)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("method", ["saturate", "saturate_standard", {"name": "saturate", "offset": [0, 0.1, -0.2, 0.3, 0]}], ids=str)
def test_saturation_is_s_in_hsv_and_grey_turns_red(severity, method):
    method = PERTURBATIONS.parse(method)

    def stronger(hsv):
        hsv[..., 1] = np.clip(hsv[..., 1] * method.factor[severity - 1] + method.offset[severity - 1], 0, 1)
        return hsv

    np.testing.assert_allclose(method(colours(), severity, DRAWS)[0].numpy(), in_hsv(colours(), stronger), atol=1e-9)


def test_brightness_of_a_grey_image_is_a_sum():
    x = torch.linspace(0, 1, 11).view(1, 1, 1, 11)
    torch.testing.assert_close(Brightness()(x, 2, DRAWS), (x + 0.2).clamp(0, 1))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast_keeps_the_mean_and_its_share_of_the_deviation(severity):
    x = colours()
    flat = Contrast()(x, severity, DRAWS)
    torch.testing.assert_close(flat.mean((2, 3)), x.mean((2, 3)))
    torch.testing.assert_close(flat.std((2, 3)), Contrast().kept[severity - 1] * x.std((2, 3)))


def test_grey_images_are_refused_where_only_colour_changes():
    with pytest.raises(
        ImageError, match="saturate changes colour, and these images have 1 channel: leave it out, or read the images as RGB"
    ):
        Saturate()(torch.rand(1, 1, 8, 8), 1, DRAWS)
