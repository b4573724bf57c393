"""Named layers' outputs, one vector per image, with their gradients."""

import pytest
import torch
from torch import nn

from robustdx.draws import Draws
from robustdx.errors import ModelError, PlanError
from robustdx.models import Defended, DiagnosticModel
from robustdx.models.features import features
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
