"""What happens to an image between the device and the network."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.perturbations import SEVERITIES
from robustdx.perturbations.artefacts.acquisition import ACQUISITION, Moire, Quantisation, Recompression, Resize

DRAWS = Draws(0, ("a", "b"))


def picture(channels=3, side=64):
    x = torch.rand(2, channels, side // 8, side // 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(x, side, mode="bicubic").clamp(0, 1)


def blockiness(x, first):
    """How much larger steps across block borders, every 8 pixels from `first`, are than others."""
    steps = (x[..., 1:] - x[..., :-1]).abs().mean((0, 1, 2))
    border = torch.arange(len(steps)) % 8 == (first - 1) % 8
    return float(steps[border].mean() / steps[~border].mean())


def test_recompression_has_blocks_of_both_savings():
    smooth = torch.linspace(0.2, 0.8, 256).expand(2, 3, 256, 256)
    twice = Recompression(quality=(8,) * 5)(smooth, 1, DRAWS)
    assert blockiness(twice, 4) > 1.5
    assert blockiness(picture(side=256), 4) < 1.2, "none in an image that was never saved"


def test_resize_loses_what_is_finer_than_the_smaller_image():
    coarse = torch.cos(torch.arange(224) * 2 * torch.pi / 56).expand(2, 1, 224, 224) / 4 + 0.5
    fine = torch.cos(torch.arange(224) * 2 * torch.pi / 4).expand(2, 1, 224, 224) / 4 + 0.5
    kept = [Resize()(x, 5, DRAWS)[..., 20:-20].std() / x.std() for x in (coarse, fine)]
    assert kept[0] > 0.8
    assert kept[1] < 0.05


@pytest.mark.parametrize("severity", SEVERITIES)
def test_quantisation_leaves_as_many_shades_as_its_table_says_black_and_white_among_them(severity):
    ramp = torch.linspace(0, 1, 1000).view(1, 1, 1, 1000)
    shades = Quantisation()(ramp, severity, DRAWS).unique()
    levels = Quantisation().levels[severity - 1]
    torch.testing.assert_close(shades, torch.linspace(0, 1, levels))
    assert float((Quantisation()(ramp, severity, DRAWS) - ramp).abs().max()) <= 0.5 / (levels - 1) + 1e-6


def test_fringes_are_those_of_two_grids_photographed():
    """A screen of stripes, sampled by a camera with pixels of nearly their pitch: the period is that of the difference."""
    upright = Moire(pitch=0.05, tilt=0.0, depth=(0.5,) * 5)
    grey = torch.full((1, 3, 224, 224), 0.4)
    draws = Draws(0, ("a",))
    pitch = 1 + 0.05 * float(draws.uniform(-1, 1, like=torch.empty(1, 5))[0, 1])
    green = upright(grey, 1, draws)[0, 1].mean(0)
    stripes = np.cos(2 * np.pi * np.arange(224) / pitch)
    spectra = [np.abs(np.fft.rfft(line - line.mean())) for line in (green.numpy(), stripes)]
    assert abs(int(spectra[0].argmax()) - int(spectra[1].argmax())) <= 1


def test_fringes_of_red_green_and_blue_lie_apart_and_grow_with_severity():
    grey = torch.full((2, 3, 224, 224), 0.4)
    fringes = [Moire()(grey, severity, DRAWS) - grey for severity in SEVERITIES]
    assert all(float(a.std()) < float(b.std()) for a, b in pairwise(fringes))
    assert float((fringes[4][:, 0] - fringes[4][:, 1]).std()) > 0.5 * float(fringes[4][:, 0].std())
    flat = [f.flatten().numpy() for f in fringes]
    assert min(np.corrcoef(a, b)[0, 1] for a, b in pairwise(flat)) > 0.9, "the same fringes"


def test_what_is_saved_is_saved_by_pillow_in_grey_too():
    grey = (picture(1) * 255).round() / 255
    ours = Recompression(quality=(100,) * 5)(grey, 1, DRAWS)
    assert float((ours - grey).abs().max()) <= 3 / 255
    assert Image.fromarray((ours[0, 0] * 255).byte().numpy()).mode == "L"


def test_all_of_them_happen_to_any_image():
    assert all(not cls.modalities for cls in ACQUISITION.values())


def test_settings_that_mean_nothing_are_refused_in_words():
    with pytest.raises(PlanError, match="levels must lie at 2 or above, got 1"):
        Quantisation(levels=(9, 8, 7, 6, 1))
    with pytest.raises(PlanError, match="quality must lie between 1 and 100, got 0"):
        Recompression(quality=(9, 8, 7, 6, 0))
    with pytest.raises(PlanError, match=r"kept must lie between 0\.001 and 1, got 2"):
        Resize(kept=(2, 1, 1, 1, 1))
    with pytest.raises(PlanError, match="depth needs 5 values, one for each severity, got 1"):
        Moire(depth=(0.1,))
