"""Snow and drops: their parts beside scipy and scikit-image, and what is laid over the image."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt, zoom
from scipy.stats import norm

from robustdx.draws import Draws
from robustdx.perturbations.sequences import Snow, Spatter
from robustdx.perturbations.sequences.contours import distance, edges, equalised
from robustdx.perturbations.sequences.spatter import FLOW, shaded, trickled


def only(sequence, x, draws, count=2):
    return next(iter(sequence.frames(x, count, draws)))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.5])
def test_distances_are_exact_up_to_twenty_pixels(share):
    found = torch.rand(3, 1, 61, 47, generator=torch.Generator().manual_seed(1)) < share
    for own, ours in zip(found, distance(found), strict=True):
        wanted = distance_transform_edt(~own[0].numpy()) if own.any() else np.full((61, 47), np.inf)
        np.testing.assert_allclose(ours[0].numpy(), np.minimum(wanted, 20), atol=1e-5)


def test_histograms_are_made_even():
    levels = torch.randint(0, 5, (2, 1, 40, 40), generator=torch.Generator().manual_seed(0)) ** 2
    levels[1] = 7
    found = equalised(levels, 17)
    values = levels[0].flatten().numpy()
    below = {v: np.sum(values <= v) for v in np.unique(values)}
    lowest = np.sum(values == values.min())
    wanted = [round((below[v] - lowest) / (len(values) - lowest) * 255) for v in values]
    assert found[0].flatten().tolist() == wanted
    assert found[1].unique().tolist() == [7], "a flat picture stays as it is"


def test_a_square_has_a_thin_edge_all_around():
    grey = torch.zeros(1, 1, 30, 30)
    grey[..., 10:20, 10:20] = 200
    found = edges(grey, 50, 150)[0, 0]
    around = torch.zeros(30, 30, dtype=torch.bool)
    around[9:21, 9:21] = True
    around[11:19, 11:19] = False
    assert not found[~around].any()
    assert found[9:11, 10:20].any(0).all()
    assert found[10:20, 19:21].any(1).all()
    assert found.sum() <= 44


def test_a_faint_edge_counts_where_it_hangs_together_with_a_clear_one():
    grey = torch.zeros(2, 1, 30, 30)
    grey[0, 0, :, 15:] = 25  # gradients of 100
    grey[1] = grey[0]
    grey[1, 0, :5, 15:] = 80
    found = edges(grey, 50, 150)
    assert not found[0].any()
    assert found[1, 0, 10:, 14:16].any(1).all()


def test_edges_are_opencvs():
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed here: make test-references")
    g = torch.Generator().manual_seed(0)
    grey = (
        torch.nn.functional.interpolate(torch.rand(3, 1, 20, 20, generator=g), size=(100, 100), mode="bicubic").clamp(0, 1).mul(255).floor()
    )
    for own, ours in zip(grey, edges(grey, 50, 150), strict=True):
        theirs = cv2.Canny(own[0].byte().numpy(), 50, 150) > 0
        assert np.mean(theirs == ours[0].numpy()) > 0.99
        assert theirs.sum() > 100


def test_liquid_trickles_down_as_released():
    liquid = torch.rand(2, 1, 20, 9)
    found = trickled(liquid)
    for own, ours in zip(liquid, found, strict=True):
        for column in range(9):
            wanted = np.convolve(own[0, :, column].numpy(), FLOW, mode="same")
            np.testing.assert_allclose(ours[0, :, column].numpy(), wanted, atol=1e-6)


def test_drops_are_brightest_at_one_and_dry_glass_is_dark():
    liquid = torch.zeros(2, 1, 40, 40)
    liquid[0, 0, 10:25, 10:25] = 0.7
    found = shaded(liquid)
    assert found[0].max() == 1
    assert not found[0][liquid[0] == 0].any()
    assert not found[1].any()


def test_drops_have_the_colour_of_water(draws):
    black = torch.zeros(2, 3, 224, 224)
    frame = only(Spatter(amount=1.0), black, draws)
    assert torch.allclose(frame.amax((2, 3)), 0.6 * torch.tensor([175, 238, 238]) / 255, atol=1e-5)
    assert 0.005 < float((frame > 0).float().mean()) < 0.1
    moved = list(Spatter(amount=1.0).frames(black, 10, draws))[-1]
    rows = torch.arange(224.0)[:, None]
    assert ((moved[:, 0] * rows).sum() / moved[:, 0].sum()) != ((frame[:, 0] * rows).sum() / frame[:, 0].sum())


def test_flakes_are_the_brightest_of_enlarged_noise():
    x, snow = torch.zeros(8, 3, 224, 224), Snow()
    draws = Draws(0, tuple(map(str, range(8))))
    flakes = snow._flakes(x, draws)
    noise = 0.05 + 0.3 * draws.fork("flakes").normal(like=torch.empty(8, 1, 75, 75)).numpy()
    for own, cells in zip(flakes, noise, strict=True):
        large = zoom(cells[0], 3, order=1)[:224, :224]
        wanted = np.floor(np.clip(np.where(large < 0.5, 0, large), 0, 1) * 255) / 255
        assert np.mean(np.abs(own[0].numpy() - wanted) < 1.5 / 255) > 0.999
    assert 0.01 < float((flakes > 0).float().mean()) < norm.sf(1.5), "between cells noise is fainter"


def test_snow_lies_over_a_paler_image_once_upright_and_once_upside_down(draws):
    x = torch.full((2, 3, 224, 224), 0.2)
    frame = only(Snow(amount=1.0), x, draws)
    paler = 0.85 * 0.2 + 0.15 * (1.5 * 0.2 + 0.5)
    layer = frame - paler
    assert layer.min() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(layer, layer.flip((2, 3)), atol=1e-5, rtol=0)
    assert 0.01 < float(layer.mean()) < 0.3


@pytest.mark.parametrize("sequence", [Snow(), Spatter()])
def test_it_begins_clean_and_grows(sequence, x, draws):
    frames = list(sequence.frames(x, 11, draws))
    assert torch.equal(frames[0], x)
    far = [float((frame - x).abs().mean()) for frame in frames]
    assert far[1] > 0
    assert far[-1] > 3 * far[1]


@pytest.mark.parametrize("sequence", [Snow(amount=1.0), Spatter(amount=1.0)])
def test_images_of_another_size_have_the_same_layer(sequence, draws):
    small, large = torch.full((2, 1, 112, 112), 0.3), torch.full((2, 1, 224, 224), 0.3)
    smaller = torch.nn.functional.interpolate(only(sequence, large, draws), size=(112, 112), mode="bilinear", antialias=True)
    torch.testing.assert_close(only(sequence, small, draws), smaller, atol=0.02, rtol=0)
