"""Peers that only ask have a budget for each image, whoever is beside it, and their answer is the nearest wrong image they saw."""

from __future__ import annotations

import torch
from torch import nn

from peers.asking import Metered, metered
from robustdx.threats import L2


class Bright(nn.Module):
    """Class 1 where an image is brighter than a half."""

    def forward(self, x):
        over = x.mean((1, 2, 3)) - 0.5
        return torch.stack((-over, over), 1)


X, Y = torch.full((3, 1, 2, 2), 0.25), torch.zeros(3, dtype=torch.long)


def brighten(network: Metered, x, y, threat):
    """Asks about every image at ever darker levels above the boundary, for ever."""
    level = 1.0
    while True:
        network(torch.full((len(network.at), 1, 2, 2), level))
        level = max(level - 0.1, 0.55)


def test_the_answer_is_the_nearest_wrong_image_within_the_budget():
    for queries, level in ((1, 1.0), (2, 0.9), (3, 0.8)):
        for together in (False, True):
            found = metered(brighten, queries, together=together)(Bright(), X, Y, L2(10.0), 2)
            assert torch.allclose(found, torch.full_like(X, level)), (queries, together)


def test_an_image_that_was_never_beaten_stays():
    found = metered(lambda network, x, y, threat: network(x), 5)(Bright(), X, Y, L2(10.0), 2)
    assert torch.equal(found, X)


def test_each_image_has_a_budget_of_its_own():
    meter = Metered(Bright(), X, Y, L2(10.0), 2)
    meter.at = torch.tensor([1])
    meter(torch.full((2, 1, 2, 2), 0.9))
    meter.at = torch.arange(3)
    meter(torch.full((3, 1, 2, 2), 0.6))
    assert meter.left.tolist() == [1, -1, 1]
    assert meter.nearest[:, 0, 0, 0].tolist() == [*torch.tensor([0.6, 0.9, 0.6]).tolist()]
