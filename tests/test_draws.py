"""What is drawn for an image never depends on its neighbours, on batch size or on order."""

import pytest
import torch

from robustdx.draws import Draws

IDS = tuple(f"img{i}" for i in range(6))


def draw(draws: Draws, kind: str) -> torch.Tensor:
    like = torch.zeros(len(draws.ids), 3, 4, 4)
    return {
        "uniform": lambda: draws.uniform(-1, 1, like),
        "normal": lambda: draws.normal(like),
        "integers": lambda: draws.integers(0, 10**6),
        "levels": lambda: draws.levels(like),
    }[kind]()


@pytest.mark.parametrize("kind", ["uniform", "normal", "integers", "levels"])
def test_alone_in_another_order_or_in_a_batch_is_the_same(kind):
    whole = draw(Draws(7, IDS), kind)
    order = [4, 0, 5, 2]
    shuffled = draw(Draws(7, tuple(IDS[i] for i in order)), kind)
    assert torch.equal(shuffled, whole[order])
    assert torch.equal(draw(Draws(7, IDS).take([3]), kind), whole[[3]])


def test_take_by_mask_keeps_ids_with_images():
    mask = torch.tensor([True, False, False, True, False, False])
    assert Draws(0, IDS).take(mask).ids == ("img0", "img3")


def test_seed_name_and_kind_each_give_other_numbers():
    like = torch.zeros(6, 1000)
    first = Draws(0, IDS).uniform(0, 1, like)
    for other in (Draws(1, IDS), Draws(0, IDS).fork("restart", 1), Draws(0, IDS).fork("restart").fork("2")):
        assert abs(torch.corrcoef(torch.stack((first.flatten(), other.uniform(0, 1, like).flatten())))[0, 1]) < 0.05


def test_images_are_independent_of_each_other():
    rows = Draws(0, IDS).normal(torch.zeros(6, 5000))
    correlations = torch.corrcoef(rows) - torch.eye(6)
    assert correlations.abs().max() < 0.06


def test_distributions():
    many = Draws(0, ("a",)).uniform(-2, 3, torch.zeros(1, 100_000))
    assert many.min() >= -2
    assert many.max() < 3
    assert abs(many.mean() - 0.5) < 0.02
    normal = Draws(0, ("a",)).normal(torch.zeros(1, 100_000))
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02


def test_levels_are_equally_likely():
    levels = Draws(0, IDS).levels(torch.zeros(6, 3, 101, 101))
    assert levels.dtype == torch.int32
    assert levels.min() >= 0
    assert levels.max() < 2**16
    counts = torch.bincount(levels.flatten() // 2**12, minlength=16)
    assert (counts / counts.sum() - 1 / 16).abs().max() < 0.003


def test_images_and_draws_must_belong_together():
    with pytest.raises(ValueError, match="6 images, got 5"):
        Draws(0, IDS).normal(torch.zeros(5, 2))
