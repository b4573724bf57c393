"""BPDA: the answer of the defence, the gradient of none."""

import pytest
import torch

from robustdx.draws import Draws
from robustdx.models import Defended, DiagnosticModel
from robustdx.purifiers import StraightThrough
from robustdx.tasks import MultiClass

X = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
DRAWS = Draws(0, ("a", "b"))


def four_levels(x, draws):
    return (x * 3).round() / 3


@pytest.fixture
def model():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3))
    return DiagnosticModel(network, MultiClass(tuple("abc")), size=(8, 8)).eval()


def test_forward_it_is_the_purifier():
    x = X.clone().requires_grad_()
    assert torch.equal(StraightThrough(four_levels)(x, DRAWS), four_levels(X, DRAWS))


def test_backward_it_is_the_identity(model):
    """The gradient is that of the bare network at the purified image; the purifier itself passes none."""
    x = X.clone().requires_grad_()
    (through,) = torch.autograd.grad(Defended(model, StraightThrough(four_levels))(x, DRAWS).logsumexp(1).sum(), x)
    pure = four_levels(X, DRAWS).requires_grad_()
    (bare,) = torch.autograd.grad(model(pure).logsumexp(1).sum(), pure)
    torch.testing.assert_close(through, bare)
    (hidden,) = torch.autograd.grad(Defended(model, four_levels)(x, DRAWS).logsumexp(1).sum(), x)
    assert not hidden.any()


def test_a_stand_in_gives_the_gradient_and_not_the_answer():
    x = X.clone().requires_grad_()
    through = StraightThrough(four_levels, lambda x, draws: 3 * x)(x, DRAWS)
    assert torch.equal(through, four_levels(X, DRAWS))
    (grad,) = torch.autograd.grad(through.sum(), x)
    assert torch.equal(grad, torch.full_like(X, 3))
