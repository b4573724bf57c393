"""Linf with an eps for each channel."""

import pytest
import torch

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.threats import THREATS, Linf

DRAWS = Draws(0, tuple("abcd"))
EPS = (8 / 255, 4 / 255, 2 / 255)
X = torch.full((4, 3, 10, 10), 128 / 255)


def channels(change):
    return change.abs().amax(dim=(0, 2, 3))


def test_each_channel_has_its_own_reach():
    threat = Linf.per_channel(EPS)
    far = threat.project(X + 1, X)
    assert torch.allclose(channels(far - X), torch.tensor(EPS))
    assert torch.allclose(channels(threat.sample(X, DRAWS) - X), torch.tensor(EPS), rtol=0.05)
    assert torch.allclose(channels(threat.snap(far, X) - X) * 255, torch.tensor([8.0, 4.0, 2.0]))


def test_eps_is_the_largest_and_distances_are_in_its_units():
    threat = Linf.per_channel(EPS)
    assert threat.eps == 8 / 255
    assert torch.allclose(threat.distance(threat.project(X - 1, X), X), torch.full((4,), 8 / 255))
    one_step_in_the_tightest = X + torch.tensor([0.0, 0.0, 1 / 255]).view(1, 3, 1, 1)
    assert torch.allclose(threat.distance(one_step_in_the_tightest, X), torch.full((4,), 4 / 255))


def test_a_step_of_eps_along_the_steepest_direction_reaches_the_corner():
    """What climb does: step_size * eps * steepest(grad), with each channel at its own pace."""
    threat, grad = Linf.per_channel(EPS), DRAWS.normal(X)
    corner = X + torch.tensor(EPS).view(1, 3, 1, 1) * grad.sign()
    assert torch.allclose(X + threat.eps * threat.steepest(grad), corner)
    assert torch.allclose(threat.project(corner, X), corner)


def test_a_part_of_a_grid_step_is_no_step():
    threat = Linf.per_channel((2 / 255, 0.9 / 255, 0.5 / 255))
    assert torch.allclose(channels(threat.snap(X + 1, X) - X) * 255, torch.tensor([2.0, 0.0, 0.0]))


def test_a_published_eps_for_normalised_pixels():
    """eps 0.03 after (x - mean) / std is 0.03 std in pixels, which differs from channel to channel."""
    std = (0.229, 0.224, 0.225)
    threat = Linf.per_channel([0.03 * s for s in std])
    change = (threat.project(X + 1, X) - X) / torch.tensor(std).view(1, 3, 1, 1)
    assert torch.allclose(change, torch.tensor(0.03))


def test_written_as_a_tuple_or_as_shares_it_is_the_same():
    threat = Linf.per_channel(EPS)
    assert Linf(EPS) == threat == Linf(8 / 255, shares=(1.0, 0.5, 0.25))
    assert THREATS.parse(THREATS.dump(threat)) == threat
    assert Linf.per_channel((2 / 255,) * 3) == Linf(2 / 255)
    assert Linf.per_channel((0.0,) * 3) == Linf(0.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Linf.per_channel((8 / 255, 0.0, 0.0)), "above 0"),
        (lambda: Linf.per_channel((8.0, 4.0, 2.0)), "fraction like 8/255"),
        (lambda: Linf(1 / 255, shares=(0.5, 0.25)), "the largest 1"),
        (lambda: Linf(EPS, shares=(1.0, 0.5, 0.25)), "leave one out"),
        (lambda: Linf.per_channel(EPS).project(X[:, :1], X[:, :1]), "3 channels, the images have 1"),
    ],
)
def test_what_does_not_fit_is_refused(make, words):
    with pytest.raises(PlanError, match=words):
        make()
