"""Fewer shades, the median, the two of them, and chains in general."""

import pytest
import torch

from robustdx.errors import PlanError
from robustdx.purifiers import PURIFIERS, BitDepth, Chain, FeatureSqueezing, Gaussian, Median, ResizePad, WithoutDraws
from tests.purifiers.specimens import DRAWS, noisy, smooth


@pytest.mark.parametrize(("grid", "shades"), [("xu", [0, 1 / 3, 2 / 3, 1]), ("guo", [0, 0.25, 0.5, 0.75, 1])])
def test_so_many_shades_are_left(grid, shades):
    x = torch.linspace(0, 1, 256).view(1, 1, 16, 16)
    pure = BitDepth(levels=4, grid=grid)(x, DRAWS.take([0]))
    torch.testing.assert_close(pure.unique(), torch.tensor(shades))
    nearest = torch.tensor(shades)[(x.flatten()[:, None] - torch.tensor(shades)).abs().argmin(1)]
    torch.testing.assert_close(pure.flatten(), nearest)


def test_all_the_shades_that_a_file_has_are_the_image():
    torch.testing.assert_close(BitDepth(levels=256)(smooth(), DRAWS), smooth())


def test_single_pixels_in_a_flat_image_leave_no_trace_of_the_median():
    x = torch.full((3, 3, 24, 24), 0.4)
    hit = x.clone()
    hit[:, :, ::4, ::4], hit[:, :, 2::4, 2::4] = 1.0, 0.0
    assert torch.equal(Median(size=3)(hit, DRAWS), x)


def test_the_median_of_a_corner_counts_its_last_pixel_again():
    x = torch.zeros(3, 1, 5, 5)
    x[:, :, 0, :2], x[:, :, 1, 0] = 1.0, 1.0
    assert Median(size=3)(x, DRAWS)[0, 0, 0, 0] == 1


def test_feature_squeezing_is_its_chain():
    x = noisy(smooth(), 0.1)
    chain = PURIFIERS.parse({"name": "chain", "members": [{"name": "bit-depth", "levels": 16}, {"name": "median", "size": 5}]})
    assert torch.equal(FeatureSqueezing(levels=16, size=5)(x, DRAWS), chain(x, DRAWS))


def test_a_chain_goes_through_its_members_in_order_each_with_draws_of_its_own():
    x, member = noisy(smooth(), 0.1), ResizePad(scale=1.5)
    twice = Chain(members=(member, member))(x, DRAWS)
    assert torch.equal(twice, member(member(x, DRAWS.fork("member", 0)), DRAWS.fork("member", 1)))
    assert not torch.equal(twice, member(member(x, DRAWS.fork("member", 0)), DRAWS.fork("member", 0)))
    first = Chain(members=(Gaussian(sigma=2.0), BitDepth(levels=3)))(x, DRAWS)
    assert not torch.equal(first, Chain(members=(BitDepth(levels=3), Gaussian(sigma=2.0)))(x, DRAWS))


@pytest.mark.parametrize(
    ("members", "differentiable", "random"),
    [
        ((Gaussian(), Median()), True, False),
        ((Gaussian(), ResizePad()), True, True),
        ((BitDepth(), ResizePad()), False, True),
        ((Gaussian(), WithoutDraws(torch.sqrt)), False, True),
    ],
)
def test_a_chain_is_what_its_members_are_and_believes_none_that_does_not_say(members, differentiable, random):
    chain = Chain(members=members)
    assert (chain.differentiable, chain.random) == (differentiable, random)


def test_a_chain_of_none_is_refused():
    with pytest.raises(PlanError, match="at least one member, got none"):
        Chain(members=())


def test_code_that_takes_the_images_alone_is_a_purifier_too():
    x = smooth()
    assert torch.equal(WithoutDraws(lambda x: x.flip(-1))(x, DRAWS), x.flip(-1))
