"""Expectation over transformation: the mean of several draws, and nothing more where nothing is drawn."""

import logging

import pytest
import torch

from robustdx.attacks import PGD
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import Averaged, Defended, DiagnosticModel, Subject
from robustdx.tasks import MultiClass
from robustdx.threats import Linf

TASK = MultiClass(tuple("abc"))
X = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(5))
DRAWS = Draws(7, tuple("wxyz"))


def noisy(x, draws):
    return (x + draws.uniform(-0.2, 0.2, like=x)).clamp(0, 1)


@pytest.fixture
def plain(make_tiny):
    return DiagnosticModel(make_tiny(), TASK, size=(16, 16)).eval().requires_grad_(False)


@pytest.fixture
def stochastic(plain):
    return Defended(plain, noisy)


def test_it_is_the_mean_over_independent_draws(stochastic):
    each = [stochastic(X, DRAWS.fork("sample", i)) for i in range(3)]
    torch.testing.assert_close(Averaged(stochastic, 3)(X, DRAWS), torch.stack(each).mean(0))
    assert not torch.allclose(each[0], each[1], atol=1e-3)


def test_more_samples_lie_nearer_to_the_expectation(stochastic):
    expected = Averaged(stochastic, 256)(X, DRAWS)
    few, many = (float((Averaged(stochastic, k)(X, DRAWS.fork("other")) - expected).abs().mean()) for k in (2, 64))
    assert many < few / 2


def test_an_image_draws_the_same_in_any_batch(stochastic):
    averaged = Averaged(stochastic, 4)
    torch.testing.assert_close(averaged(X, DRAWS)[2:3], averaged(X[2:3], DRAWS.take([2])))


def test_an_attack_on_the_average_of_a_deterministic_model_is_the_plain_attack(plain, caplog):
    y = plain(X).argmax(1)
    with caplog.at_level(logging.WARNING):
        averaged = Averaged(plain, 8)
    assert "one sample in place of 8" in caplog.text
    attack = PGD(steps=4)
    assert torch.equal(attack(averaged, X, y, Linf(4 / 255), DRAWS), attack(plain, X, y, Linf(4 / 255), DRAWS))


def test_every_pass_is_counted(stochastic):
    subject = Subject(Averaged(stochastic, 5))
    x = X.clone().requires_grad_()
    torch.autograd.grad(subject(x, DRAWS).sum(), x)
    assert subject.forwards == dict.fromkeys("wxyz", 5)
    assert subject.backwards == dict.fromkeys("wxyz", 5)


def test_in_another_precision_and_task_it_stays_an_average(stochastic):
    other = Averaged(stochastic, 3).in_precision(torch.bfloat16)
    assert (other.samples, other.dtype, other.passes) == (3, torch.bfloat16, 3)
    torch.testing.assert_close(other(X, DRAWS), Averaged(stochastic, 3)(X, DRAWS), atol=0.1, rtol=0.05)


def test_no_samples_are_refused(plain):
    with pytest.raises(PlanError, match="at least 1"):
        Averaged(plain, 0)
