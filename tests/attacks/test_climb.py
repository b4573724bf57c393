"""What early stop, restarts and the order of images may and may not change."""

import pytest
import torch
from torch import nn

from robustdx.attacks import PGD
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, Subject
from robustdx.tasks import Binary, MultiClass, MultiLabel
from robustdx.threats import Linf

B = 12
DRAWS = Draws(0, tuple(f"img{i}" for i in range(B)))
THREAT = Linf(4 / 255)


@pytest.fixture
def model():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 4))
    for p in network.parameters():
        nn.init.normal_(p, std=0.3)
    return DiagnosticModel(network, MultiClass(tuple("abcd"))).eval()


@pytest.fixture
def x():
    return torch.randint(0, 256, (B, 3, 10, 10), generator=torch.Generator().manual_seed(0)) / 255


@pytest.fixture
def y(model, x):
    """What the model says of the clean images: every image stands at first."""
    return model(x).argmax(1).detach()


def test_early_stop_fools_as_many_with_fewer_passes(model, x, y):
    fooled, passes = {}, {}
    for stop in (False, True):
        subject = Subject(model)
        x_adv = PGD(steps=20, early_stop=stop)(subject, x, y, THREAT, DRAWS)
        fooled[stop] = model.task.fooled(model(THREAT.snap(x_adv, x)), y)
        passes[stop] = sum(subject.backwards.values())
    assert 0 < int(fooled[True].sum()) < B
    assert int(fooled[True].sum()) >= int(fooled[False].sum())
    assert passes[True] < passes[False] == 20 * B


def test_without_early_stop_the_loss_is_driven_to_its_end(model, x, y):
    losses = [model.task.loss(model(PGD(steps=20, early_stop=stop)(model, x, y, THREAT, DRAWS)), y).mean() for stop in (True, False)]
    assert losses[1] > losses[0]


def test_success_is_confirmed_on_the_image_as_it_would_be_saved(x):
    """A network that only the unsaved image can fool: its decision turns on what rounding takes away."""

    class Fraction(nn.Module):
        def forward(self, z):
            off_grid = (z * 255 - (z * 255).round()).abs().flatten(1).amax(1)
            return torch.stack((0.2 - off_grid + 0 * z.flatten(1).sum(1), torch.zeros(len(z))), 1)

    model, y = DiagnosticModel(Fraction(), Binary()), torch.zeros(B, dtype=torch.long)
    subject = Subject(model)
    x_adv = PGD(steps=5, step_size=0.1)(subject, x, y, THREAT, DRAWS)
    assert model.task.fooled(model(x_adv), y).all()
    assert not model.task.fooled(model(THREAT.snap(x_adv, x)), y).any()
    assert min(subject.backwards.values()) == 5, "an image left although its success does not survive the file"


def test_more_restarts_are_never_weaker(model, x, y):
    loss = [model.task.loss(model(PGD(steps=3, restarts=n, early_stop=False)(model, x, y, THREAT, DRAWS)), y) for n in (1, 4)]
    assert (loss[1] >= loss[0] - 1e-6).all()
    assert (loss[1] > loss[0] + 1e-6).any()


def test_the_worst_image_of_all_steps_is_kept(model, x, y):
    short, long = (PGD(steps=n, step_size=0.9, random_start=False, early_stop=False)(model, x, y, THREAT, DRAWS) for n in (5, 6))
    assert (model.task.loss(model(long), y) >= model.task.loss(model(short), y) - 1e-6).all()


def test_an_image_does_not_feel_its_neighbours(model, x, y):
    attack = PGD(steps=5)
    together = attack(model, x, y, THREAT, DRAWS)
    order = torch.randperm(B, generator=torch.Generator().manual_seed(1))
    shuffled = attack(model, x[order], y[order], THREAT, DRAWS.take(order))
    assert torch.allclose(shuffled, together[order], atol=1e-5)
    alone = attack(model, x[3:4], y[3:4], THREAT, DRAWS.take([3]))
    assert torch.allclose(alone, together[3:4], atol=1e-5)


def test_multi_label_goes_on_until_every_finding_is_wrong(x):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(300, 3))
    model = DiagnosticModel(network, MultiLabel(tuple("abc"))).eval()
    y = model.task.decide(model(x)).detach()
    small, large = Linf(1 / 255), Linf(64 / 255)
    some = model.task.errors(model(PGD(steps=10)(model, x, y, small, DRAWS)), y)
    every = model.task.errors(model(PGD(steps=10)(model, x, y, large, DRAWS)), y)
    assert every.mean() > some.mean()
    assert (every == 1).float().mean() > 0.5


def test_a_gradient_that_is_not_a_number_does_no_harm(x):
    class Broken(nn.Module):
        def forward(self, z):
            s = z.flatten(1).mean(1)
            return torch.stack((s, torch.sqrt((s - s.detach()).clamp_min(0))), 1)

    model = DiagnosticModel(Broken(), Binary())
    x_adv = PGD(steps=3, early_stop=False)(model, x, torch.zeros(B, dtype=torch.long), THREAT, DRAWS)
    assert torch.isfinite(x_adv).all()


def test_the_last_eighth_of_the_steps_is_taken_in_float32(model, x, y):
    """A search that sees nothing stays where it began; two of sixteen steps see everything."""

    class Blind(nn.Module):
        def forward(self, z):
            return 0 * model.network(z)

    subject = Subject(model, DiagnosticModel(Blind(), model.task).eval())
    settings = {"step_size": 0.1, "random_start": False, "early_stop": False}
    assert torch.equal(PGD(steps=16, **settings)(subject, x, y, THREAT, DRAWS), PGD(steps=2, **settings)(model, x, y, THREAT, DRAWS))


def test_the_image_that_was_confirmed_is_the_one_that_is_kept(model, x, y):
    x_adv = PGD(steps=20)(model, x, y, THREAT, DRAWS)
    beaten = model.task.fooled(model(x_adv), y)
    assert beaten.any()
    assert torch.equal(THREAT.snap(x_adv, x)[beaten], x_adv[beaten])


def test_images_between_the_steps_of_the_grid_stay_inside_the_budget(model, y):
    x = torch.rand(B, 3, 10, 10, generator=torch.Generator().manual_seed(0))
    x_adv = PGD(steps=20)(model, x, y, THREAT, DRAWS)
    assert (THREAT.distance(x_adv, x) <= THREAT.eps * (1 + 1e-5)).all()
