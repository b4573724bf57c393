"""How far an attack moves each layer, by hand; and the pictures of what a layer shows."""

import numpy as np
import pytest
import torch
from torch import nn

from robustdx.analyses import FeatureMaps, Views
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiClass


class Growing(nn.Module):
    """The first layer passes the image on, the second adds ten times the red to it."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 3, 1, bias=False), nn.Linear(3, 2)
        self.first.weight.data = torch.eye(3)[:, :, None, None]
        self.second.weight.data = (torch.eye(3) + 10 * torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 0]]))[:, :, None, None]

    def forward(self, x):
        return self.head(self.second(self.first(x)).mean((2, 3)))


MODEL = DiagnosticModel(Growing(), MultiClass(("a", "b"))).eval()
X = torch.rand(3, 3, 6, 4, generator=torch.Generator().manual_seed(0)) * 0.8


def views(**attacked):
    return Views(X, attacked, torch.tensor([0, 1, 0]), Draws(0, tuple("abc")))


def test_by_hand_an_attack_grows_where_the_network_looks():
    redder = X + torch.tensor([0.1, 0, 0]).view(1, 3, 1, 1)
    found = FeatureMaps().conclude(FeatureMaps()(MODEL, views(red=redder)))
    sizes = X.flatten(1).norm(dim=1), (X * torch.tensor([11.0, 1, 1]).view(1, 3, 1, 1)).flatten(1).norm(dim=1)
    moved = 0.1 * 24**0.5
    assert found.value("red", "first", "distance") == pytest.approx((moved / sizes[0]).mean().item(), rel=1e-5)
    assert found.value("red", "second", "distance") == pytest.approx((11 * moved / sizes[1]).mean().item(), rel=1e-5)
    cosine = torch.cosine_similarity(X.flatten(1), redder.flatten(1)).mean().item()
    assert found.value("red", "first", "cosine") == pytest.approx(cosine, rel=1e-5)
    assert found.value("red", "second", "distance") > found.value("red", "first", "distance")


def test_pictures_show_the_mean_and_the_channels_that_are_strongest_on_the_clean_image_in_every_view():
    analysis = FeatureMaps(pictures=2, channels=1)
    found = analysis.conclude(analysis(MODEL, views(grey=torch.full_like(X, 0.5))))
    assert found.pictures["clean"]["mean:second"].shape == (2, 6, 4)
    red = (11 * X[:2, :1]).numpy()
    np.testing.assert_allclose(found.pictures["clean"]["channels:second"], red, rtol=1e-5)
    np.testing.assert_allclose(found.pictures["grey"]["channels:second"], np.full_like(red, 5.5), rtol=1e-5)
    np.testing.assert_allclose(found.pictures["clean"]["mean:first"], X[:2].mean(1), rtol=1e-5)
    assert "mean:head" not in found.pictures["clean"], "what has no rows and columns is no picture"


def test_a_layer_that_gives_nothing_has_no_distance():
    silent = DiagnosticModel(Growing(), MultiClass(("a", "b"))).eval()
    silent.network.first.weight.data.zero_()
    found = FeatureMaps(layers=("first",)).conclude(FeatureMaps(layers=("first",))(silent, views(pgd=X / 2)))
    assert [(n.value, n.why) for n in found.numbers] == [(None, "the layer gives 0 on every image")] * 2


def test_refusals():
    with pytest.raises(PlanError, match=r"there is no layer named 'secnd': did you mean second\?"):
        FeatureMaps(layers=("secnd",))(MODEL, views(pgd=X))
    with pytest.raises(PlanError, match="0 or more"):
        FeatureMaps(channels=-1)
