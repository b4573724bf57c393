"""Several models as one: mean logits, the members' own ways of seeing, and every verb applies."""

import pytest
import torch
from torch import nn

from robustdx.attacks import PGD, Momentum
from robustdx.draws import Draws
from robustdx.errors import ModelError
from robustdx.models import Averaged, Defended, DiagnosticModel, Ensemble, Subject, still
from robustdx.tasks import Binary, MultiClass, Targeted
from robustdx.threats import Linf

TASK = MultiClass(tuple("abc"))
X = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(5))
DRAWS = Draws(7, tuple("wxyz"))
THREAT = Linf(4 / 255)


def noisy(x, draws):
    return (x + draws.uniform(-0.2, 0.2, like=x)).clamp(0, 1)


@pytest.fixture
def make(make_tiny):
    def model(seed=0, **words):
        network = make_tiny()
        torch.manual_seed(seed)
        nn.init.normal_(network.head.weight)
        return DiagnosticModel(network, TASK, **{"size": (16, 16), **words}).eval().requires_grad_(False)

    return model


def test_the_logits_are_the_mean_of_its_members(make):
    members = make(0), make(1, mean=(0.5,) * 3, std=(0.2,) * 3), make(2, size=(8, 8), resize=True)
    ensemble = Ensemble(members)
    torch.testing.assert_close(ensemble(X, DRAWS), torch.stack([m(X, DRAWS) for m in members]).mean(0))
    torch.testing.assert_close(ensemble.exact(X, DRAWS), ensemble(X))
    assert (ensemble.size, ensemble.resize, ensemble.channels, ensemble.models) == ((16, 16), False, 3, members)
    with_sizes = Ensemble([make(0, resize=True), make(1, size=(8, 8), resize=True)])
    assert with_sizes.resize
    assert with_sizes(torch.rand(2, 3, 20, 20)).shape == (2, 3)


def test_probabilities_are_averaged_as_logits(make, make_tiny):
    """A member that ends in a softmax has its say through its logits, however sure it is."""
    network = make_tiny(ending=nn.Softmax(1))
    sure = DiagnosticModel(network, TASK, size=(16, 16), outputs="probabilities").eval().requires_grad_(False)
    other = make(1)
    x = X.clone().requires_grad_()
    ensemble = Ensemble([sure, other])
    torch.testing.assert_close(ensemble(X), (sure(X) + other(X)) / 2)
    (grad,) = torch.autograd.grad(ensemble(x).sum(), x)
    assert grad.flatten(1).any(1).all()


def test_one_member_is_that_member(make):
    model = make()
    y = model(X).argmax(1)
    for attack in (PGD(steps=4), Momentum(steps=4)):
        assert torch.equal(attack(Ensemble([model]), X, y, THREAT, DRAWS), attack(model, X, y, THREAT, DRAWS))


def test_an_attack_on_it_climbs_the_mean_loss_and_passes_are_counted(make):
    members = make(0), make(1)
    ensemble = Ensemble(members)
    y, subject = ensemble(X).argmax(1), Subject(ensemble)
    x_adv = PGD(steps=4, early_stop=False)(subject, X, y, THREAT, DRAWS)
    assert (TASK.loss(ensemble(x_adv), y) > TASK.loss(ensemble(X), y)).all()
    assert subject.backwards == dict.fromkeys(DRAWS.ids, 8)
    assert subject.forwards == dict.fromkeys(DRAWS.ids, 10)
    assert Ensemble([ensemble, members[0]]).passes == 3


def test_members_draw_for_themselves(make):
    model = Defended(make(), noisy)
    twice = Ensemble([model, model])
    torch.testing.assert_close(twice(X, DRAWS), (model(X, DRAWS.fork("member", 0)) + model(X, DRAWS.fork("member", 1))) / 2)
    assert not torch.allclose(twice(X, DRAWS), model(X, DRAWS.fork("member", 0)), atol=1e-4)
    torch.testing.assert_close(twice(X, DRAWS)[2:3], twice(X[2:3], DRAWS.take([2])))
    assert Averaged(twice, 3).passes == 6


def test_in_another_task_and_precision_it_stays_an_ensemble(make):
    ensemble = Ensemble([make(0), make(1)])
    assert ensemble.with_task(Targeted(TASK)).task == Targeted(TASK)
    rough = ensemble.in_precision(torch.bfloat16)
    assert (rough.dtype, ensemble.dtype, rough.passes) == (torch.bfloat16, torch.float32, 2)
    torch.testing.assert_close(rough(X), ensemble(X), atol=0.1, rtol=0.05)


def test_it_is_left_as_it_was(make):
    members = [make(0).train(), make(1).train()]
    ensemble = Ensemble(members).train().requires_grad_(True)
    with still(ensemble):
        assert not any(m.training for m in ensemble.modules())
        PGD(steps=2)(ensemble, X, torch.zeros(4, dtype=torch.long), THREAT, DRAWS)
    assert all(m.training for m in ensemble.modules())
    assert all(p.requires_grad and p.grad is None for p in ensemble.parameters())


def test_members_that_do_not_fit_are_refused(make, make_tiny):
    other = DiagnosticModel(make_tiny(), MultiClass(tuple("abd")), size=(16, 16))
    grey = DiagnosticModel(make_tiny(), TASK, size=(16, 16), mean=(0.0,), std=(1.0,))
    for members, told in (
        ([], "at least one model"),
        ([make(), other], "same task, got .*'c'.* and .*'d'"),
        ([make(), grey], "same number of channels, got 1 and 3"),
        ([make(), make(size=(8, 8))], "same size, or resize=True, got 16x16 and 8x8"),
    ):
        with pytest.raises(ModelError, match=told):
            Ensemble(members)
    one, two = (DiagnosticModel(make_tiny(k), Binary(), size=(16, 16)).eval() for k in (1, 2))
    with pytest.raises(ModelError, match=r"one form, got outputs of the shapes \[\(4, 1\), \(4, 2\)\]"):
        Ensemble([one, two])(X)
