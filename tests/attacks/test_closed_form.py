"""On a linear model the worst image is known: every attack must find it."""

import pytest
import torch
from torch import nn

from robustdx.attacks import BIM, FGSM, PGD
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import Binary, MultiClass, MultiLabel
from robustdx.threats import L2, Linf

B, SHAPE = 6, (3, 8, 8)
N = 192
TASKS = {
    "one logit": (Binary(), 1),
    "two outputs": (Binary(), 2),
    "multi-class": (MultiClass(tuple("abcd")), 4),
    "multi-label": (MultiLabel(tuple("abc")), 3),
}


def linear(task, outputs: int, seed: int = 0) -> DiagnosticModel:
    torch.manual_seed(seed)
    layer = nn.Linear(N, outputs)
    nn.init.normal_(layer.weight, std=0.3)
    return DiagnosticModel(nn.Sequential(nn.Flatten(), layer), task).eval()


def images(low: float = 0.3, high: float = 0.7) -> torch.Tensor:
    g = torch.Generator().manual_seed(1)
    return (low + (high - low) * torch.rand(B, *SHAPE, generator=g)).mul(255).round().div(255)


def labels(task) -> torch.Tensor:
    g = torch.Generator().manual_seed(2)
    if isinstance(task, MultiLabel):
        return torch.randint(0, 2, (B, len(task.classes)), generator=g).float()
    return torch.randint(0, len(task.classes), (B,), generator=g)


def optimum_of_one_logit(model, x, y, threat):
    """The loss falls in one direction w: the worst image goes as far along it as the budget allows."""
    w = model.network[1].weight
    w = (w[0] if len(w) == 1 else w[1] - w[0]).view(1, *SHAPE) * (1 - 2 * y.float()).view(-1, 1, 1, 1)
    return x + threat.eps * threat.steepest(w)


DRAWS = Draws(0, tuple(map(str, range(B))))
THREATS = [Linf(8 / 255), Linf(0.5 / 255), L2(0.5)]
ITERATED = [PGD(early_stop=False), PGD(early_stop=False, restarts=3), BIM(steps=20, step_size=0.25, early_stop=False)]


@pytest.mark.parametrize("threat", THREATS, ids=str)
@pytest.mark.parametrize("attack", ITERATED, ids=str)
@pytest.mark.parametrize("name", ["one logit", "two outputs"])
def test_binary_reaches_the_optimum(name, attack, threat):
    task, outputs = TASKS[name]
    model, x, y = linear(task, outputs), images(), labels(task)
    best = task.loss(model(optimum_of_one_logit(model, x, y, threat)), y)
    found = task.loss(model(attack(model, x, y, threat, DRAWS)), y)
    assert torch.allclose(found, best, atol=1e-4)


@pytest.mark.parametrize("attack", ITERATED, ids=str)
def test_multi_label_reaches_the_optimum_where_each_finding_has_pixels_of_its_own(attack):
    """Under Linf the findings do not compete: each moves by eps times the sum of its absolute weights."""
    task, threat = MultiLabel(tuple("abc")), Linf(8 / 255)
    model, x, y = linear(task, 3), images(), labels(task)
    weight = model.network[1].weight.detach()
    weight *= torch.arange(N).div(64).long() == torch.arange(3)[:, None]
    best = model(x) - threat.eps * (2 * y - 1) * weight.abs().sum(1)
    found = model(attack(model, x, y, threat, DRAWS))
    assert torch.allclose(found, best, atol=1e-4)


@pytest.mark.parametrize("attack", ITERATED, ids=str)
@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_multi_label_reaches_the_optimum_where_findings_share_a_direction(attack, threat):
    """All findings follow one direction and all are to be missed: the worst image goes straight along it."""
    task = MultiLabel(tuple("abc"))
    model, x, y = linear(task, 3), images(), torch.ones(B, 3)
    weight = model.network[1].weight.detach()
    weight.copy_(torch.tensor([[1.0], [0.5], [2.0]]) * weight[0])
    best = x - threat.eps * threat.steepest(weight[:1].view(1, *SHAPE).expand_as(x))
    found = attack(model, x, y, threat, DRAWS)
    assert torch.allclose(task.loss(model(found), y), task.loss(model(best), y), atol=1e-4)


@pytest.mark.parametrize("attack", ITERATED, ids=str)
@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_multi_class_reaches_the_smallest_margin_between_two_rivals(attack, threat):
    """Two of four classes are in play: the worst image moves their margin by eps times the dual norm of w_y - w_other."""
    task = MultiClass(tuple("abcd"))
    model, x, y = linear(task, 4), images(), labels(Binary())
    model.network[1].bias.data[2:] = -200.0
    weight = model.network[1].weight
    towards = (weight[1] - weight[0]).view(1, *SHAPE) * (1 - 2 * y.float()).view(-1, 1, 1, 1)
    best = task.margin(model(x + threat.eps * threat.steepest(towards)), y)
    found = task.margin(model(attack(model, x, y, threat, DRAWS)), y)
    assert torch.allclose(found, best, atol=1e-4)


@pytest.mark.parametrize("threat", THREATS, ids=str)
@pytest.mark.parametrize("name", ["one logit", "two outputs"])
def test_one_step_of_fgsm_is_exact_on_a_linear_model(name, threat):
    task, outputs = TASKS[name]
    model, x, y = linear(task, outputs), images(), labels(task)
    found = FGSM()(model, x, y, threat, DRAWS)
    assert torch.allclose(found, optimum_of_one_logit(model, x, y, threat), atol=1e-6)


def test_the_edge_of_the_pixel_range_is_part_of_the_optimum():
    """Where pixels meet 0 or 1, the worst image under L2 spends the budget on the others: clamp(x + t w), with t by bisection."""
    task, threat = Binary(), L2(2.0)
    model, x, y = linear(task, 1), images(0.0, 1.0), labels(task)
    w = model.network[1].weight.view(1, *SHAPE) * (1 - 2 * y.float()).view(-1, 1, 1, 1)
    low, high = torch.zeros(B), torch.full((B,), 1e3)
    for _ in range(100):
        t = (low + high) / 2
        far = ((x + t.view(-1, 1, 1, 1) * w).clamp(0, 1) - x).flatten(1).norm(dim=1) > threat.eps
        low, high = torch.where(far, low, t), torch.where(far, t, high)
    best = task.loss(model((x + low.view(-1, 1, 1, 1) * w).clamp(0, 1)), y)
    found = task.loss(model(PGD(steps=100, early_stop=False)(model, x, y, threat, DRAWS)), y)
    assert torch.allclose(found, best, atol=1e-4)


@pytest.mark.parametrize("name", list(TASKS))
@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_pgd_with_one_step_of_eps_and_no_start_is_fgsm(name, threat):
    task, outputs = TASKS[name]
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, outputs))
    model, x, y = DiagnosticModel(network, task).eval(), images(), labels(task)
    one = PGD(steps=1, step_size=1.0, random_start=False, early_stop=False)(model, x, y, threat, DRAWS)
    assert torch.equal(one, FGSM()(model, x, y, threat, DRAWS))
