"""Random resizing and pixel deflection: what they may change, and what they must leave."""

import pytest
import torch

from robustdx.purifiers import PixelDeflection, ResizePad, Wavelet
from tests.purifiers.specimens import DRAWS, B, distance, smooth


def test_at_the_size_that_came_nothing_changes():
    x = smooth()
    assert torch.equal(ResizePad(scale=1.0)(x, DRAWS), x)
    assert torch.equal(ResizePad(scale=1.01)(x, DRAWS), x), "24 * 1.01 is 24 again"


def test_the_image_comes_back_smaller_at_another_place_on_black():
    x = torch.ones(B, 1, 40, 40)
    pure = ResizePad(scale=1.5)(x, DRAWS)
    area = pure.sum((1, 2, 3)) / 1600
    assert (area > 1 / 1.5**2 - 0.02).all()
    assert (area < 1).all()
    assert len({tuple(image[0].nonzero()[0].tolist()) for image in pure}) > 1, "each image has a place of its own"


def test_proportions_stay():
    x = torch.ones(B, 1, 60, 30)
    rows, columns = ((ResizePad(scale=1.5)(x, DRAWS) > 0.5).any(dim).sum((1, 2)) for dim in (3, 2))
    assert ((rows - 2 * columns).abs() <= 2).all()


def test_only_deflected_pixels_change_and_each_comes_from_its_window():
    """Every pixel holds its own position, so that it can be told where it comes from."""
    height, width, window = 30, 50, 3
    x = (torch.arange(height * width).float() / 1e4).view(1, 1, height, width).repeat(B, 2, 1, 1)
    pure = PixelDeflection(deflections=100, window=window).deflected(x, DRAWS)
    came = (pure * 1e4).round().long()
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    assert ((came // width - rows).abs() <= window).all()
    assert ((came % width - columns).abs() <= window).all()
    changed = (pure != x).sum((2, 3))
    assert (changed <= 100).all()
    assert (changed > 80).all()
    assert not torch.equal(pure[:, 0], pure[:, 1]), "each channel has its own"


def test_neighbours_lie_evenly_over_the_window():
    x = (torch.arange(40 * 40).float() / 1e4).view(1, 1, 40, 40).repeat(B, 1, 1, 1)
    pure = PixelDeflection(deflections=2000, window=1).deflected(x, DRAWS)
    moved = ((pure * 1e4).round().long() - torch.arange(1600).view(40, 40))[:, :, 1:-1, 1:-1]
    counts = [(moved == d).sum().item() for d in (-41, -40, -39, -1, 1, 39, 40, 41)]
    assert max(counts) < 1.3 * min(counts)


def test_then_wavelets_are_shrunk():
    x = smooth()
    purifier = PixelDeflection(deflections=20, window=2, sigma=0.05)
    assert torch.equal(purifier(x, DRAWS), Wavelet(sigma=0.05)(purifier.deflected(x, DRAWS), DRAWS))


@pytest.mark.parametrize("purifier", [PixelDeflection(window=50), ResizePad(scale=3.0)], ids=["deflection", "resize-pad"])
def test_settings_larger_than_the_image_are_no_trouble(purifier):
    assert purifier(smooth(1, 6, 5), DRAWS).isfinite().all()
    assert distance(purifier(smooth(), DRAWS), smooth()) > 0
