"""The vote under noise: the mean of the probabilities to attack, counted decisions to certify."""

import pytest
import torch
from torch import nn

from robustdx.attacks import PGD
from robustdx.draws import Draws
from robustdx.errors import ImageError, ModelError, PlanError
from robustdx.models import Defended, DiagnosticModel, Smoothed, Subject, still
from robustdx.tasks import Binary, MultiClass, MultiLabel, Ordinal, Targeted
from robustdx.threats import L2

X = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(5))
DRAWS = Draws(7, tuple("wxyz"))
TASKS = [
    (MultiClass(tuple("abc")), 3),
    (Binary(), 1),
    (Binary(), 2),
    (MultiLabel(tuple("abc")), 3),
    (Ordinal(tuple("abc")), 3),
    (Ordinal(tuple("abcd"), cumulative=True), 3),
]


def named(pair):
    return f"{type(pair[0]).__name__}-{pair[1]}" if isinstance(pair, tuple) else None


@pytest.fixture
def make(make_tiny):
    def model(task=TASKS[0][0], outputs=3):
        return DiagnosticModel(make_tiny(outputs), task, size=(16, 16)).eval().requires_grad_(False)

    return model


def draws_of(i):
    """The stream of draw i of each image."""
    return Draws(DRAWS.seed, tuple(f"{image}#{i}" for image in DRAWS.ids), ("smooth",))


def noisy(sigma, i):
    return (X + sigma * draws_of(i).normal(like=X)).clamp(0, 1)


@pytest.mark.parametrize("kind", TASKS, ids=named)
def test_it_answers_with_the_mean_of_the_probabilities(make, kind):
    task, outputs = kind
    model = make(task, outputs)
    expected = torch.stack([task.probabilities(model(noisy(0.3, i))) for i in range(5)]).mean(0)
    answer = Smoothed(model, 0.3, 5)(X, DRAWS)
    assert answer.shape == (4, outputs)
    torch.testing.assert_close(task.probabilities(answer), expected)


@pytest.mark.parametrize("kind", TASKS, ids=named)
def test_votes_are_counted_decisions(make, kind):
    task, outputs = kind
    model = make(task, outputs)
    each = torch.stack([task.decide(model(noisy(0.3, i))).long().view(4, -1) for i in range(9)])
    votes = Smoothed(model, 0.3, 9).votes(X, DRAWS)
    assert votes.shape == (4, 3, 2) if isinstance(task, MultiLabel) else (4, 1, len(task.classes))
    for c in range(votes.shape[2]):
        assert torch.equal(votes[..., c], (each == c).sum(0))


def test_a_draw_is_the_same_in_any_batch_and_among_any_number(make):
    smoothed = Smoothed(make(), 0.5, 9)
    together = smoothed.votes(X, DRAWS)
    assert torch.equal(torch.cat([smoothed.votes(X[[i]], DRAWS.take([i])) for i in range(4)]), together)
    assert torch.equal(smoothed.votes(X, DRAWS, range(4)) + smoothed.votes(X, DRAWS, range(4, 9)), together)
    torch.testing.assert_close(smoothed(X, DRAWS)[2:3], smoothed(X[2:3], DRAWS.take([2])))
    assert torch.equal(smoothed(X, DRAWS), smoothed(X, DRAWS))
    assert not torch.equal(smoothed(X, DRAWS), smoothed(X, DRAWS.fork("again")))


def test_few_images_get_their_draws_in_few_passes(make):
    model, rows = make(), []
    model.network.register_forward_pre_hook(lambda network, args: rows.append(len(args[0])))
    Smoothed(model, 0.1, 100).votes(X[:1], DRAWS.take([0]))
    assert rows == [64, 36]


def test_the_purifier_sees_noise_in_range_and_draws_of_its_own(make):
    seen = []

    def watch(x, draws):
        seen.append((x, draws.normal(like=x)))
        return x

    Smoothed(Defended(make(), watch), 0.5, 2)(X, DRAWS)
    ((x, own),) = seen
    assert (float(x.min()), float(x.max())) == (0, 1)
    assert len({float(v) for v in own[:, 0, 0, 0]}) == 8, "each draw of each image draws anew"


def test_every_attack_can_follow_it_and_pays_for_each_draw(make):
    model = make()
    smoothed = Smoothed(model, 0.1, 4)
    y = model.task.decide(smoothed(X, DRAWS))
    subject = Subject(smoothed)
    with still(smoothed):
        x_adv = PGD(steps=5, early_stop=False)(subject, X, y, L2(1.0), DRAWS)
    before, after = (model.task.loss(smoothed(x, DRAWS), y) for x in (X, x_adv))
    assert bool((after > before).all())
    assert subject.backwards["w"] % 4 == 0 < subject.backwards["w"]


def test_a_saturated_vote_keeps_its_gradient():
    """Logits of 200: probabilities are 1 in float32, their logarithm is not."""
    model = DiagnosticModel(_Bright(2000.0), Binary(), size=(8, 8), mean=[0.0], std=[1.0])
    x = torch.full((1, 1, 8, 8), 0.6, requires_grad=True)
    (grad,) = torch.autograd.grad(Smoothed(model, 0.01, 3)(x, Draws(0, ("a",))).sum(), x)
    assert float(grad.abs().min()) > 0


def test_relatives_keep_noise_and_number(make):
    smoothed = Smoothed(make(), 0.25, 7)
    for other in (smoothed.with_task(Targeted(smoothed.task)), smoothed.in_precision(torch.bfloat16)):
        assert isinstance(other, Smoothed)
        assert (other.sigma, other.samples, other.passes) == (0.25, 7, 7)
    assert smoothed.with_task(Targeted(smoothed.task)).votes(X, DRAWS).shape == (4, 1, 3)


@pytest.mark.parametrize(("sigma", "samples"), [(0, 10), (-0.1, 10), (float("nan"), 10), (float("inf"), 10), (0.1, 0)])
def test_no_noise_and_no_draws_are_refused(make, sigma, samples):
    with pytest.raises(PlanError, match="sigma must be above 0" if samples else "samples must be at least 1"):
        Smoothed(make(), sigma, samples)


def test_images_out_of_range_are_refused_although_noise_leaves_it(make):
    with pytest.raises(ImageError, match=r"must lie in \[0, 1\]"):
        Smoothed(make(), 0.1, 2)(X * 2, DRAWS)


def test_an_answer_that_is_no_number_votes_for_nothing():
    model = DiagnosticModel(_Bright(float("inf")), Binary(), size=(8, 8), mean=[0.0], std=[1.0])
    with pytest.raises(ModelError, match="NaN or infinity on the image a under noise"):
        Smoothed(model, 0.1, 2).votes(torch.full((1, 1, 8, 8), 0.5), Draws(0, ("a",)))


class _Bright(nn.Module):
    """How much brighter than 0.5 the image is, times `slope`."""

    def __init__(self, slope):
        super().__init__()
        self.slope = slope

    def forward(self, x):
        return self.slope * (x.mean((1, 2, 3)) - 0.5)[:, None]
