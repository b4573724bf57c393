"""CKA against its definitions, written here with the kernel matrices and, for HSIC1, over all quadruples of images."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from robustdx.analyses import CKA, Seen, Views
from robustdx.analyses.cka import linear_cka
from robustdx.draws import Draws
from robustdx.errors import DataError, PlanError
from robustdx.models import AttnMel, DiagnosticModel
from robustdx.tasks import Binary, MultiClass


def features(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) + 3


def biased(x, y):
    """tr(K H L H), with the centring matrix H written out (Gretton et al. 2005)."""
    h = np.eye(len(x)) - 1 / len(x)

    def hsic(a, b):
        return np.trace(a @ a.T @ h @ b @ b.T @ h)

    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


def unbiased(x, y):
    """The mean of k_ij l_ij + k_ij l_qr - 2 k_ij l_iq over all quadruples of different images: what HSIC1 of Song et al. sums up."""

    def hsic(a, b):
        k, l = a @ a.T, b @ b.T
        return np.mean([k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q]) for i, j, q, r in permutations(range(len(a)), 4)])

    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


@pytest.mark.parametrize(("n", "d", "e"), [(9, 4, 4), (8, 3, 20), (7, 30, 12), (9, 2, 5)])
def test_equals_its_definitions(n, d, e):
    x = features(n, d)
    y = x @ features(d, e, 1) + features(n, e, 2)
    assert linear_cka(x, y, unbiased=False) == pytest.approx(biased(x, y))
    assert linear_cka(x, y) == pytest.approx(unbiased(x, y))


@pytest.mark.parametrize("unbiased_", [True, False])
def test_an_orthogonal_change_a_scale_and_a_shift_leave_it_at_one(unbiased_):
    x = features(20, 6)
    turn = np.linalg.qr(features(6, 6, 1))[0]
    assert linear_cka(x, 2.5 * x @ turn + features(1, 6, 3), unbiased=unbiased_) == pytest.approx(1)
    assert linear_cka(x, x @ np.diag([9, 1, 1, 1, 1, 1]), unbiased=unbiased_) < 0.95, "any other linear map does not"


def test_only_the_unbiased_form_is_near_zero_for_features_that_have_nothing_in_common():
    pairs = [(features(30, 200, s), features(30, 200, s + 100)) for s in range(20)]
    assert abs(np.mean([linear_cka(x, y) for x, y in pairs])) < 0.03
    assert np.mean([linear_cka(x, y, unbiased=False) for x, y in pairs]) > 0.8


def test_the_order_of_images_does_not_matter_and_a_constant_layer_has_none():
    x, y = features(12, 5), features(12, 5, 1)
    order = np.random.default_rng(0).permutation(12)
    assert linear_cka(x[order], y[order]) == pytest.approx(linear_cka(x, y))
    assert np.isnan(linear_cka(np.ones((12, 5)), y))
    assert np.isnan(linear_cka(np.full((12, 5), 0.1, np.float32), y, unbiased=False))


class TwoLayers(nn.Module):
    """The first layer passes the mean colour on, the second looks at the red of it only."""

    def __init__(self):
        super().__init__()
        self.colour, self.red = nn.Conv2d(3, 3, 1, bias=False), nn.Linear(3, 2, bias=False)
        self.colour.weight.data = torch.eye(3)[:, :, None, None]
        self.red.weight.data = torch.tensor([[1.0, 0, 0], [-1, 0, 0]])

    def forward(self, x):
        return self.red(self.colour(x).mean((2, 3)))


def test_by_layer_it_shows_where_an_attack_has_an_effect():
    """Green and blue are exchanged among images at random: the first layer sees that, the second does not."""
    x = torch.rand(16, 3, 1, 1, generator=torch.Generator().manual_seed(0)).expand(-1, -1, 8, 8).clone()
    moved = x.clone()
    moved[:, 1:] = x[torch.randperm(16, generator=torch.Generator().manual_seed(1)), 1:]
    model = DiagnosticModel(TwoLayers(), Binary()).eval()
    views = Views(x, {"swapped": moved}, torch.zeros(16, dtype=torch.long), Draws(0, tuple(map(str, range(16)))))
    found = CKA().conclude(CKA()(model, views))
    assert found.value("swapped", "red", "cka") == pytest.approx(1, abs=1e-5)
    expected = linear_cka(x.mean((2, 3)).numpy(), moved.mean((2, 3)).numpy())
    assert found.value("swapped", "colour", "cka") == pytest.approx(expected, abs=1e-5)
    assert expected < 0.7


def test_a_grid_keeps_where_things_are():
    """An image that is mirrored has the same mean, not the same map. (All mirrored alike would be an orthogonal change.)"""
    x = torch.rand(8, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    model = DiagnosticModel(TwoLayers(), Binary()).eval()
    some = torch.where(torch.arange(8)[:, None, None, None] < 4, x.flip(3), x)
    views = Views(x, {"mirrored": some}, torch.zeros(8, dtype=torch.long), Draws(0, tuple("abcdefgh")))
    seen = {grid: CKA(layers=("colour",), grid=grid)(model, views) for grid in (0, 1, 2)}
    assert {grid: s.rows["clean"]["colour"].shape for grid, s in seen.items()} == {0: (8, 108), 1: (8, 3), 2: (8, 12)}
    cka = {grid: CKA(grid=grid).conclude(s).value("mirrored", "colour", "cka_biased") for grid, s in seen.items()}
    assert cka[1] == pytest.approx(1, abs=1e-5)
    assert cka[2] < 0.99


def test_attnmel_is_compared_block_by_block():
    torch.manual_seed(0)
    model = DiagnosticModel(AttnMel(2), Binary()).eval()
    x = torch.rand(4, 3, 32, 32)
    seen = CKA()(model, Views(x, {"same": x}, torch.tensor([0, 1, 0, 1]), Draws(0, tuple("abcd"))))
    assert list(seen.rows["same"]) == [f"conv_block{i}" for i in range(1, 6)] + ["attn1", "attn2", "cls"]


def test_what_cannot_be_compared_is_refused_in_words():
    model = DiagnosticModel(TwoLayers(), MultiClass(("a", "b"))).eval()
    views = Views(torch.rand(3, 3, 4, 4), {"pgd": torch.rand(3, 3, 4, 4)}, torch.tensor([0, 1, 0]), Draws(0, tuple("abc")))
    with pytest.raises(DataError, match="cka needs at least 4 images to compare features on, got 3"):
        CKA().conclude(Seen.joined([CKA()(model, views)]))
    with pytest.raises(PlanError, match=r"there is no layer named 'color': did you mean colour\?"):
        CKA(layers=("color",))(model, views)
    with pytest.raises(PlanError, match="grid must be 0"):
        CKA(grid=-1)
