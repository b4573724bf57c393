"""A trajectory says what the predictions did: by hand on a model whose logits are known, and for every task."""

import math

import pytest
import torch
from torch import nn

from robustdx.analyses import Trajectory, spread, trajectory
from robustdx.attacks import BIM, SMIA
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import Defended, DiagnosticModel, Subject
from robustdx.tasks import Aimed, Binary, Class, MultiClass, MultiLabel, Ordinal, Targeted
from robustdx.threats import Linf

B = 4
DRAWS = Draws(0, tuple("abcd"))
CLASSES = tuple("xyz")
TASKS = {
    "binary": (Binary(), 1),
    "two outputs": (Binary(), 2),
    "multi-class": (MultiClass(CLASSES), 3),
    "multi-label": (MultiLabel(CLASSES), 3),
    "grades": (Ordinal(CLASSES), 3),
    "cumulative grades": (Ordinal(CLASSES, cumulative=True), 2),
}


class Bright(nn.Module):
    """One logit: 4 times the mean of the pixels, less 2."""

    def forward(self, x):
        return 4 * x.mean((1, 2, 3))[:, None] - 2


def grey(*values):
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).clone()


def model_for(task, outputs):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, outputs))
    return DiagnosticModel(network, task).eval().requires_grad_(False)


def images():
    return torch.randint(0, 256, (B, 3, 6, 6), generator=torch.Generator().manual_seed(0)) / 255


def labels(task):
    return (torch.arange(3 * B).view(B, 3) % 2).float() if isinstance(task, MultiLabel) else torch.arange(B) % len(task.classes)


def bernoulli(p, q):
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def test_by_hand():
    """Two grey images that become brighter: every number from the sigmoid of a known logit."""
    model, x = DiagnosticModel(Bright(), Binary()), grey(0.2, 0.5)
    path = [x, x + 0.1, x + 0.25]
    p = [[1 / (1 + math.exp(2 - 4 * (v + c))) for v in (0.2, 0.5)] for c in (0, 0.1, 0.25)]
    found = trajectory(model, x, path, Draws(0, ("a", "b")), torch.tensor([0, 1]))
    assert found.ids == ("a", "b")
    moved = [[bernoulli(a, b) for a, b in zip(p[t], p[t + 1], strict=True)] for t in (0, 1)]
    assert found.between.tolist() == [pytest.approx(row, abs=1e-5) for row in moved]
    assert found.from_start.tolist() == [pytest.approx([bernoulli(a, b) for a, b in zip(p[0], p_t, strict=True)], abs=1e-5) for p_t in p]
    assert found.from_truth.tolist() == [pytest.approx([-math.log(1 - a), -math.log(b)], abs=1e-5) for a, b in p]
    assert torch.allclose(found.variance, torch.zeros(3, 2), atol=1e-6), "one value added everywhere does not vary"


def test_the_variance_is_that_of_the_change():
    model, x = DiagnosticModel(Bright(), Binary()), grey(0.5, 0.5)
    change = torch.zeros_like(x)
    change[1, 0] = 0.3
    found = trajectory(model, x, [x, x + change], Draws(0, ("a", "b")))
    assert found.from_truth is None
    assert found.variance[1].tolist() == pytest.approx([0, 0.3**2 * (1 / 3) * (2 / 3)])


@pytest.mark.parametrize(("task", "outputs"), TASKS.values(), ids=list(TASKS))
@pytest.mark.parametrize("attack", [BIM(steps=3), SMIA(steps=3)], ids=["bim", "smia"])
def test_of_an_attack_for_every_task(task, outputs, attack):
    model, x, y = model_for(task, outputs), images(), labels(task)
    path = list(attack.path(model, x, y, Linf(16 / 255), DRAWS))
    subject = Subject(model)
    found = trajectory(subject, x, iter(path), DRAWS, y)
    assert found.between.shape == (3, B)
    assert found.from_start.shape == found.from_truth.shape == found.variance.shape == (4, B)
    assert all(v.isfinite().all() and (v >= 0).all() for v in (found.between, found.from_start, found.from_truth, found.variance))
    assert not found.from_start[0].any()
    torch.testing.assert_close(found.between[0], found.from_start[1])
    torch.testing.assert_close(found.from_start[3], task.divergence(model(path[3]), model(x)))
    assert found.from_truth[3].mean() > found.from_truth[0].mean(), "the attack leaves the truth"
    assert subject.forwards == dict.fromkeys(DRAWS.ids, 4)


@pytest.mark.parametrize("aim", [Targeted(MultiClass(CLASSES)), Aimed(MultiClass(CLASSES), Class("y"))], ids=["target", "goal"])
def test_the_truth_is_not_the_aim(aim):
    model, x = model_for(MultiClass(CLASSES), 3), images()
    y = labels(model.task)
    path = list(BIM(steps=2).path(model.with_task(aim), x, y, Linf(8 / 255), DRAWS))
    found, plain = (trajectory(m, x, path, DRAWS, y) for m in (model.with_task(aim), model))
    assert torch.equal(found.from_truth, plain.from_truth)
    assert torch.equal(found.between, plain.between)


def test_batches_are_joined():
    model, x = model_for(MultiClass(CLASSES), 3), images()
    y = labels(model.task)

    def part(at):
        path = BIM(steps=2).path(model, x[at], y[at], Linf(8 / 255), DRAWS.take(at))
        return trajectory(model, x[at], path, DRAWS.take(at), y[at])

    whole, joined = part([0, 1, 2, 3]), Trajectory.joined([part([0, 1, 2]), part([3])])
    assert joined.ids == whole.ids
    for name in ("between", "from_start", "from_truth", "variance"):
        torch.testing.assert_close(getattr(joined, name), getattr(whole, name), atol=1e-5, rtol=1e-4)


def test_a_model_that_draws_does_not_move_by_itself():
    def noisy(x, draws):
        return (x + draws.uniform(-0.2, 0.2, like=x)).clamp(0, 1)

    model, x = Defended(model_for(MultiClass(CLASSES), 3), noisy), images()
    assert not trajectory(model, x, [x, x], DRAWS).between.any()


def test_the_spread_over_images():
    found = spread(torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]]))
    assert found.mean == pytest.approx((2.0, 5.0))
    assert found.std == pytest.approx((1.0, 0.0))
    assert math.isnan(spread(torch.ones(2, 1)).std[0])


def test_what_is_no_path_is_refused():
    model, x = model_for(Binary(), 1), images()
    with pytest.raises(PlanError, match="at least one step, got 1"):
        trajectory(model, x, [x], DRAWS)
    with pytest.raises(PlanError, match="none may leave"):
        trajectory(model, x, [x, x[:2]], DRAWS)
