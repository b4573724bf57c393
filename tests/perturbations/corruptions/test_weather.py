"""Snow, frost, fog and soft tissue: structure that is drawn, and shared by the severities of an image."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from robustdx.draws import Draws
from robustdx.perturbations import SEVERITIES
from robustdx.perturbations.corruptions import ElasticTransform, Fog, Frost, Snow
from robustdx.perturbations.plasma import plasma
from robustdx.perturbations.scale import REFERENCE, sides_in_tables

DRAWS = Draws(0, ("a", "b"))
BLACK = torch.zeros(2, 3, 224, 224)


def along(a, b):
    """The correlation of two images."""
    return float(np.corrcoef(a.flatten().numpy(), b.flatten().numpy())[0, 1])


@pytest.mark.parametrize("method", [Frost(), Fog()])
def test_an_image_has_the_same_structure_at_all_severities_and_another_image_another(method):
    x = BLACK + 0.5
    layers = [method(x, severity, DRAWS) for severity in SEVERITIES]
    assert min(along(a[0, 2], b[0, 2]) for a, b in pairwise(layers)) > 0.9
    assert abs(along(layers[0][0, 2], layers[0][1, 2])) < 0.6


def test_clouds_are_the_diamond_square_of_a_loop():
    chance = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, 16, 16)))
    height, step, share = np.zeros((16, 16)), 16, 1.0
    while step >= 2:
        half, old = step // 2, height.copy()
        for i in range(0, 16, step):
            for j in range(0, 16, step):
                corners = [old[(i + a) % 16, (j + b) % 16] for a in (0, step) for b in (0, step)]
                height[i + half, j + half] = np.mean(corners) + share * chance[0, i + half, j + half]
        for i in range(0, 16, half):
            for j in range(0, 16, half):
                if (i + j) // half % 2:
                    near = [height[(i + a) % 16, (j + b) % 16] for a, b in ((-half, 0), (half, 0), (0, -half), (0, half))]
                    height[i, j] = np.mean(near) + share * chance[0, i, j]
        step, share = half, share / 1.7**2
    expected = (height - height.min()) / (height.max() - height.min())
    np.testing.assert_allclose(plasma(chance, 1.7)[0].numpy(), expected, atol=1e-12)


def test_fog_on_black_is_nothing_and_on_white_is_clouds():
    assert not Fog()(BLACK, 3, DRAWS).any()
    foggy = Fog()(BLACK + 1, 3, DRAWS)
    assert 1 / 3.5 - 1e-6 <= float(foggy.min()) < float(foggy.max()) <= 1 + 1e-6


def test_snow_falls_and_whitens():
    snow = Snow()(BLACK, 1, DRAWS)
    assert float(snow.min()) == pytest.approx(0.08 * 0.5), "kept x + (1 - kept) (1.5 grey + 0.5) where no flake is"
    down = float((snow[..., 3:, :] - snow[..., :-3, :]).abs().mean())
    across = float((snow[..., 3:] - snow[..., :-3]).abs().mean())
    assert down < across, "flakes are longer than wide"


def test_frost_lies_at_the_border_and_is_bluish_white():
    frost = Frost()(BLACK, 5, DRAWS)
    assert float(frost[..., :30, :].mean()) > 1.3 * float(frost[..., 90:130, 90:130].mean())
    assert float(frost[:, 2].mean()) > float(frost[:, 0].mean()) > 0.05


def test_tissue_moves_by_the_field_alone_where_nothing_is_affine():
    """A ramp shows how far each pixel looks."""
    still = ElasticTransform(strength=(0,) * 5, affine=(0,) * 5)
    ramp = (torch.arange(224.0) / 223).expand(2, 1, 224, 224).contiguous()
    torch.testing.assert_close(still(ramp, 3, DRAWS), ramp, atol=1e-5, rtol=0)
    moved = [(ElasticTransform(strength=(s,) * 5, affine=(0,) * 5)(ramp, 3, DRAWS) - ramp)[..., 60:-60] for s in (0.02, 0.04)]
    assert float(moved[0].abs().max()) * 223 > 0.2
    torch.testing.assert_close(moved[1], 2 * moved[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("severity", [1, 5])
@pytest.mark.parametrize("method", [Snow(), Frost(), Fog(), ElasticTransform()], ids=lambda m: type(m).__name__)
def test_a_larger_image_gets_the_same_picture(method, severity):
    small = torch.nn.functional.interpolate(
        torch.rand(1, 3, 14, 14, generator=torch.Generator().manual_seed(1)), 224, mode="bicubic"
    ).clamp(0, 1)
    large = torch.nn.functional.interpolate(small, 448, mode="bilinear")
    back = torch.nn.functional.interpolate(method(large, severity, DRAWS.take([0])), 224, mode="area")
    assert float((back - method(small, severity, DRAWS.take([0]))).abs().mean()) < 0.03


def test_lengths_are_those_of_224_pixels_on_the_shorter_side():
    assert sides_in_tables(torch.empty(1, 3, 224, 224)) == (REFERENCE, REFERENCE)
    assert sides_in_tables(torch.empty(1, 3, 150, 200)) == (224, 299)
    assert sides_in_tables(torch.empty(1, 3, 480, 321)) == (335, 224)
