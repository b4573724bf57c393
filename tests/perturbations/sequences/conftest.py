"""Images and draws for the tests of single sequences."""

import pytest
import torch

from robustdx.draws import Draws


@pytest.fixture
def draws():
    return Draws(5, ("a", "b"))


@pytest.fixture(params=[(224, 224), (61, 80)], ids=["released size", "odd"])
def x(request):
    """Two smooth images with a spot, so that a wrong direction shows."""
    h, w = request.param
    rows, columns = torch.linspace(0, 1, h)[:, None], torch.linspace(0, 1, w)
    spot = torch.exp(-((rows - 0.3) ** 2 + (columns - 0.6) ** 2) / 0.01)
    one = torch.stack([0.2 + 0.6 * rows * columns, 0.1 + 0.4 * spot, 0.5 + 0.3 * torch.sin(9 * columns) * rows])
    return torch.stack([one, one.flip(2)]).clamp(0, 1)
