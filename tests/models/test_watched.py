"""A model beside a detector is a model: attacks run on it unchanged, and are judged by both."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from robustdx.attacks import APGD, PGD, SMIA, Square
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, Subject, Watched, still
from robustdx.tasks import Binary, MultiClass, Targeted
from robustdx.threats import Linf

DRAWS = Draws(0, ("a", "b"))
EPS = 0.1


class Left(nn.Module):
    """One logit: the mean of the left half above a half, times 40."""

    def forward(self, x):
        return 40 * (x[..., :4].mean((1, 2, 3)) - 0.5)[:, None]


@dataclass(frozen=True)
class Brightness:
    """How far the mean of the whole image lies from a half: a shift of the left half is balanced by one of the right half."""

    @property
    def passes(self):
        return 0

    def __call__(self, model, x, draws):
        return (x.mean((1, 2, 3)) - 0.5).abs()


@pytest.fixture
def model():
    return DiagnosticModel(Left(), Binary(), size=(8, 8)).eval()


X, Y = torch.full((2, 3, 8, 8), 0.5), torch.tensor([0, 1])
X[0, ..., :4], X[1, ..., :4] = 0.46, 0.54


def watched(model, **way):
    return Watched(model, Brightness(), threshold=0.026, unit=0.01, **way).eval()


@pytest.mark.parametrize("way", [{"weight": 1.0}, {"weight": 10.0}, {"selective": True}, {"orthogonal": True}], ids=str)
@pytest.mark.parametrize("attack", [PGD(steps=20), APGD(steps=20)], ids=["pgd", "apgd"])
def test_who_knows_the_detector_gets_past_it(model, attack, way):
    both = watched(model, **way)
    x_adv = Linf(EPS).snap(attack(Subject(both), X, Y, Linf(EPS), DRAWS), X)
    assert both.task.fooled(both(x_adv), Y).all()
    assert model.task.fooled(model(x_adv), Y).all()
    assert (Brightness()(model, x_adv, DRAWS) <= 0.026).all()


def test_who_does_not_know_it_is_noticed(model):
    x_adv = PGD(steps=20, early_stop=False)(model, X, Y, Linf(EPS), DRAWS)
    x_adv = torch.where(torch.arange(8) < 4, x_adv, X)
    assert model.task.fooled(model(x_adv), Y).all()
    assert watched(model).task.noticed(watched(model)(x_adv)).all()


@pytest.mark.parametrize("attack", [Square(queries=60), SMIA(steps=5)], ids=["square", "smia"])
def test_other_attacks_run_unchanged(model, attack):
    x_adv = attack(Subject(watched(model)), X, Y, Linf(EPS), DRAWS)
    assert ((x_adv - X).abs() <= EPS + 1e-6).all()


def test_gradients_that_work_against_each_other_lose_what_they_share():
    class One(nn.Module):
        def forward(self, x):
            return (x * torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)).sum((1, 2, 3))[:, None]

    class Two:
        passes = 0

        def __call__(self, model, x, draws):
            return (x * torch.tensor([-0.6, 0.8]).view(1, 1, 1, 2)).sum((1, 2, 3))

    both = Watched(DiagnosticModel(One(), Binary(), mean=(0.0,), std=(1.0,)), Two(), 0.0, orthogonal=True)
    x = torch.full((1, 1, 1, 2), 0.5, requires_grad=True)
    (grad,) = torch.autograd.grad(both(x, Draws(0, ("a",))).sum(), x)
    one, two = torch.tensor([1.0, 0.0]), torch.tensor([-0.6, 0.8])
    torch.testing.assert_close(grad.flatten(), (one + 0.6 * two) + (two + 0.6 * one))


def test_another_task_and_another_precision_keep_the_detector(model):
    both = watched(model, weight=3.0)
    assert both.passes == 1
    assert torch.equal(both.with_task(Targeted(both.task))(X), both(X))
    assert both.in_precision(torch.bfloat16).task == both.task
    with still(both):
        assert not both.training


def test_settings_that_mean_nothing_are_refused(model):
    with pytest.raises(PlanError, match="unit must be above 0"):
        Watched(model, Brightness(), 0.0, 0.0)


def test_several_classes_have_one_output_more():
    model = DiagnosticModel(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), MultiClass(tuple("abcd")), size=(8, 8))
    both = watched(model)
    assert both(X).shape == (2, 5)
    assert both.task.outputs == (5,)
