"""APGD finds its own steps, reaches what is known to be the worst, and is not misled by the scale of the logits."""

import pytest
import torch
from torch import nn

from robustdx.attacks import APGD, ATTACKS, PGD, APGDTargeted, Cascade
from robustdx.attacks.loops.ascent import checkpoints
from robustdx.draws import Draws
from robustdx.errors import PlanError, UnsupportedTask
from robustdx.models import DiagnosticModel, Subject
from robustdx.tasks import Binary, MultiClass, MultiLabel, Targeted
from robustdx.threats import L2, Linf

N = 40
X = torch.rand(N, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
DRAWS = Draws(0, tuple(f"i{n}" for n in range(N)))
THREATS = pytest.mark.parametrize("threat", [Linf(4 / 255), L2(0.4)], ids=str)


class Scaled(nn.Module):
    """A network whose logits are multiplied."""

    def __init__(self, network, scale):
        super().__init__()
        self.network, self.scale = network, scale

    def forward(self, x):
        return self.network(x) * self.scale


class TwoOutputs(nn.Module):
    """One logit written as two."""

    def __init__(self, network, ending=None):
        super().__init__()
        self.network, self.ending = network, ending or nn.Identity()

    def forward(self, x):
        z = self.network(x)
        return self.ending(torch.cat((torch.zeros_like(z), z), 1))


def net(outputs):
    torch.manual_seed(outputs)
    layers = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, outputs)
    network = nn.Sequential(*layers)
    network[-1].weight.data *= 6
    return network


def model_of(network, task):
    return DiagnosticModel(network, task, size=(8, 8)).eval().requires_grad_(False)


def standing(model, attack, y, threat):
    return float((model.task.errors(model(attack(model, X, y, threat, DRAWS)), y) < 1).float().mean())


@THREATS
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_on_a_linear_model_it_reaches_the_optimum(threat, loss):
    torch.manual_seed(1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
    model, y = model_of(network, Binary()), torch.arange(N) % 2
    x_adv = APGD(loss=loss, early_stop=False)(model, X, y, threat, DRAWS)
    weight = network[1].weight.view(1, 3, 8, 8)
    sign = 1 - 2 * y.float()
    best = model(X)[:, 0] * sign + threat.eps * (threat.steepest(weight) * weight).sum()
    torch.testing.assert_close(model(x_adv)[:, 0] * sign, best, atol=1e-3, rtol=1e-3)


@THREATS
def test_it_leaves_no_more_standing_than_pgd_at_equal_steps(threat):
    model = model_of(net(5), MultiClass(tuple("abcde")))
    y = model(X).argmax(1)
    assert standing(model, APGD(steps=40), y, threat) <= standing(model, PGD(steps=40), y, threat) + 1 / N


def test_steps_are_looked_at_ever_more_often():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(1) == []


@THREATS
@pytest.mark.parametrize("attack", [APGD(steps=30), APGDTargeted(steps=30), APGD(steps=30, loss="margin")], ids=str)
@pytest.mark.parametrize("scale", [1000.0, 100.0, 0.001])
def test_the_scale_of_the_logits_hides_nothing(threat, attack, scale):
    """Saturated logits leave the cross-entropy no gradient in float32, and must cost no more than a point of robust accuracy."""
    network, task = net(5), MultiClass(tuple("abcde"))
    plain, scaled = model_of(network, task), model_of(Scaled(network, scale), task)
    y = plain(X).argmax(1)
    assert standing(scaled, attack, y, threat) <= standing(plain, attack, y, threat) + 0.01


@THREATS
def test_one_logit_two_outputs_and_probabilities_get_the_same_verdicts(threat):
    network, attack = net(1), Cascade(members=(APGD(steps=20), APGDTargeted(steps=20)))
    one = model_of(network, Binary())
    two = model_of(TwoOutputs(network), Binary())
    probable = DiagnosticModel(TwoOutputs(network, nn.Softmax(1)), Binary(), size=(8, 8), outputs="probabilities").eval()
    y = (one(X)[:, 0] > 0).long()
    verdicts = [m.task.fooled(m(attack(m, X, y, threat, DRAWS)), y) for m in (one, two, probable.requires_grad_(False))]
    assert 0 < verdicts[0].float().mean() < 1
    assert torch.equal(verdicts[0], verdicts[1])
    assert (verdicts[0] != verdicts[2]).float().mean() <= 0.01


def test_towards_rivals_it_is_at_least_as_strong_as_towards_one_target():
    model, threat = model_of(net(5), MultiClass(tuple("abcde"))), Linf(3 / 255)
    y = model(X).argmax(1)
    aimed = model.with_task(Targeted(model.task))
    second = model(X).argsort(1)[:, -2]
    one = aimed.task.fooled(model(APGDTargeted(steps=20)(aimed, X, second, threat, DRAWS)), second)
    every = model.task.fooled(model(APGDTargeted(steps=20)(model, X, y, threat, DRAWS)), y)
    assert every.float().mean() >= one.float().mean()


def test_of_several_findings_as_many_are_turned_as_by_pgd():
    model, threat = model_of(net(4), MultiLabel(tuple("abcd"))), Linf(16 / 255)
    y = (model(X) > 0).float()
    turned = {a: float(model.task.errors(model(a(model, X, y, threat, DRAWS)), y).mean()) for a in (APGD(steps=30), PGD(steps=30))}
    assert turned[APGD(steps=30)] >= turned[PGD(steps=30)] > 0.1
    for attack in (APGDTargeted(steps=30), APGD(steps=30, loss="margin")):
        assert model.task.errors(model(attack(model, X, y, threat, DRAWS)), y).mean() > 0.1


def test_its_cost_is_what_it_says():
    model = model_of(net(5), MultiClass(tuple("abcde")))
    y, subject = model(X).argmax(1), Subject(model)
    APGD(steps=7, restarts=2, early_stop=False)(subject, X, y, Linf(1 / 255), DRAWS)
    assert set(subject.forwards.values()) == {1 + 2 * (7 + 1)}
    assert set(subject.backwards.values()) == {14}


@pytest.mark.parametrize(("task", "outputs"), [(Binary(), 1), (Binary(), 2), (MultiLabel(tuple("abcd")), 4)])
def test_a_ratio_of_logits_needs_three_classes(task, outputs):
    model = model_of(net(outputs), task)
    with pytest.raises(UnsupportedTask, match="loss=margin"):
        APGD(loss="dlr")(model, X, torch.zeros(N, dtype=torch.long) if outputs < 3 else torch.zeros(N, 4), Linf(0.01), DRAWS)
    APGD(loss="dlr-or-margin", steps=2)(model, X, torch.zeros(N, dtype=torch.long) if outputs < 3 else torch.zeros(N, 4), Linf(0.01), DRAWS)


def test_settings_that_do_nothing_are_refused():
    for words in ({"steps": 0}, {"restarts": 0}, {"rho": 1.0}):
        with pytest.raises(PlanError):
            APGD(**words)
    with pytest.raises(PlanError, match="targets"):
        APGDTargeted(targets=0)
    assert ATTACKS.parse({"name": "apgd-targeted", "targets": 3}) == APGDTargeted(targets=3)
