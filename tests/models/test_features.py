"""Named layers' outputs, one vector per image, with their gradients."""

import pytest
import torch
from torch import nn

from robustdx.draws import Draws
from robustdx.errors import ModelError, PlanError
from robustdx.models import CNN, AttnMel, Defended, DiagnosticModel
from robustdx.models.features import blocks, features, maps
from robustdx.tasks import MultiClass

DRAWS = Draws(0, ("a", "b"))
X = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model(make_tiny):
    return DiagnosticModel(make_tiny(), MultiClass(tuple("abc")), size=(16, 16)).eval()


def test_without_names_what_the_decision_is_made_from(model):
    (found,) = features(model, X, DRAWS)
    torch.testing.assert_close(found, model.network.features(X).mean((2, 3)))
    torch.testing.assert_close(model.network.head(found), model(X))


def test_named_layers_are_pooled_before_anything_changes_them_in_place(model):
    model.network.features[2].inplace = True
    first, head = features(model, X, DRAWS, ("features.1", "head"))
    torch.testing.assert_close(first, model.network.features[:2](X).mean((2, 3)))
    torch.testing.assert_close(head, model(X))


def test_tokens_are_averaged(model):
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Linear(48, 7), nn.Linear(7, 3)

        def forward(self, x):
            return self.head(self.embed(x.flatten(2)[..., :48]).mean(1))

    network = DiagnosticModel(Tokens(), MultiClass(tuple("abc")), size=(16, 16))
    (found,) = features(network, X, DRAWS, ("embed",))
    torch.testing.assert_close(found, network.network.embed(X.flatten(2)[..., :48]).mean(1))


def test_gradients_reach_the_image_and_a_defence_is_seen_through(model):
    x = X.clone().requires_grad_()
    half = Defended(model, lambda x, draws: x / 2)
    (found,) = features(half, x, DRAWS)
    torch.testing.assert_close(found, features(model, X / 2, DRAWS)[0])
    assert torch.autograd.grad(found.sum(), x)[0].abs().sum() > 0
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_what_is_not_there_is_refused(model):
    with pytest.raises(PlanError, match=r"no layer named 'heads': did you mean head\?"):
        features(model, X, DRAWS, ("heads",))
    bare = DiagnosticModel(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), MultiClass(tuple("abc")), size=(16, 16))
    with pytest.raises(ModelError, match="no such layer has run"):
        features(bare, X, DRAWS)
    traced = torch.jit.trace(model.network, X)
    with pytest.raises((ModelError, PlanError), match="layer"):
        features(DiagnosticModel(traced, model.task, size=(16, 16)), X, DRAWS)


def test_whole_maps_of_named_layers_and_of_the_blocks(model):
    network = model.network
    found = maps(model, X, DRAWS, ("features.1", "head"))
    assert list(found) == ["features.1", "head"]
    torch.testing.assert_close(found["features.1"], network.features[:2](X))
    torch.testing.assert_close(found["head"], model(X))
    assert list(maps(model, X, DRAWS)) == ["features.0", "features.1", "features.3", "head"]


def test_blocks_are_the_large_parts_of_a_network_in_order():
    assert blocks(AttnMel(2)) == (*(f"conv_block{i}" for i in range(1, 6)), "attn1", "attn2", "cls")
    assert blocks(CNN(3)) == (*(f"features.{i}" for i in range(5)), "head")
    many = nn.Sequential(*(nn.Linear(2, 2) for _ in range(40)))
    assert len(blocks(many)) == 12
    assert (blocks(many)[0], blocks(many)[-1]) == ("0", "39")
    assert blocks(nn.Flatten()) == ()


def test_several_near_layers_are_named(model):
    with pytest.raises(PlanError, match=r"no layer named 'features.9': did you mean features.\d or features.\d or features.\d\?"):
        maps(model, X, DRAWS, ("features.9",))
