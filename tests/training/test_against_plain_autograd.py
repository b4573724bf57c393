"""One step of each objective, loss, gradient and running means, is that of an independent implementation (plain_autograd.py)."""

import copy

import plain_autograd as plain
import pytest
import torch
from small_networks import DRAWS, B, gradients, images, labels, model
from torch import nn

from robustdx.threats import Linf
from robustdx.training import OBJECTIVES
from robustdx.training.objectives.inner import NUDGE, STEP
from robustdx.training.objectives.mpadvt import drawn

EPS = 0.06
THREAT = Linf(EPS)
X, Y = images(), labels("multi-class")


def pixels(one):
    """The network as the papers' code has it: normalisation inside, no task."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = copy.deepcopy(one.network)

        def forward(self, x):
            return self.inner((x - one.mean) / one.std)

    return Net().train()


def random_start():
    return (X + DRAWS.fork("restart", 0).uniform(-EPS, EPS, like=X)).clamp(0, 1)


def nudge():
    return (X + NUDGE * EPS * DRAWS.fork("nudge").normal(like=X)).clamp(0, 1)


def shared_start():
    return DRAWS.take([0]).fork("restart", 0).uniform(-EPS, EPS, like=X[:1])


def mpadvt(net):
    steps, portions = drawn(X, DRAWS)
    u = [DRAWS.take([i]).fork("restart", 0).uniform(-1, 1, like=X[:1]) for i in range(B)]
    starts = [(X[i : i + 1] + float(portions[i]) * EPS * u[i]).clamp(0, 1) for i in range(B)]
    return plain.mpadvt(net, X, Y, starts, steps > 0, portions * EPS, steps, EPS / 0.04 / 255)


CASES = {
    "standard": ({}, lambda net: plain.ce(net(X), Y)),
    "focal": ({}, lambda net: plain.focal(net, X, Y, 2.0)),
    "at-fgsm": ({}, lambda net: plain.madry(net, X, Y, X, EPS, EPS, 1)),
    "at-pgd": ({}, lambda net: plain.madry(net, X, Y, random_start(), EPS, 0.25 * EPS, 10)),
    "fast": ({}, lambda net: plain.madry(net, X, Y, random_start(), EPS, 1.25 * EPS, 1)),
    "at-mixed": (
        {"steps": 4},
        lambda net: plain.mixed(net, X, Y, random_start(), DRAWS.fork("mixed").integers(0, 2), EPS, 2.5 / 4 * EPS, 4),
    ),
    "advt": ({}, lambda net: plain.madry(net, X, Y, random_start(), EPS, EPS / 4, 4)),
    "mpadvt": ({}, mpadvt),
    "maadvt": ({}, lambda net: plain.mart(net, X, Y, nudge(), EPS, STEP * EPS, 4, 6.0)),
    "trades": ({}, lambda net: plain.trades(net, X, Y, nudge(), EPS, STEP * EPS, 10, 6.0)),
    "mart": ({}, lambda net: plain.mart(net, X, Y, nudge(), EPS, STEP * EPS, 10, 5.0)),
    "n-fgsm": ({}, lambda net: plain.n_fgsm(net, X, Y, (X + DRAWS.fork("noise").uniform(-2 * EPS, 2 * EPS, like=X)).clamp(0, 1), EPS)),
    "grad-align": (
        {"weight": 0.5},
        lambda net: plain.grad_align(net, X, Y, (X + DRAWS.fork("align").uniform(-EPS, EPS, like=X)).clamp(0, 1), EPS, 0.5),
    ),
    "free": ({"replays": 3}, lambda net: plain.free(net, X, Y, random_start(), EPS, 3)),
    "universal": ({"steps": 3}, lambda net: plain.universal(net, X, Y, shared_start(), EPS, EPS / 2, 3)),
}


def same_running_means(one, net):
    for ours, theirs in zip(one.network.buffers(), net.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def same_gradients(one, net):
    for ours, theirs in zip(gradients(one), gradients(net), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_one_step_is_that_of_plain_autograd(name):
    settings, reference = CASES[name]
    one = model("multi-class")
    net = pixels(one)
    loss = OBJECTIVES.parse({"name": name, **settings})(one, X, Y, THREAT, DRAWS)
    expected = reference(net)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    loss.mean().backward()
    expected.mean().backward()
    same_gradients(one, net)
    same_running_means(one, net)


def test_awp_is_that_of_plain_autograd():
    one = model("multi-class")
    net = pixels(one)
    loss = OBJECTIVES.parse({"name": "awp", "gamma": 0.1, "objective": {"name": "madry", "steps": 4}})(one, X, Y, THREAT, DRAWS)
    loss.mean().backward()
    expected = plain.awp(net, X, Y, plain.pgd(net, X, Y, random_start(), EPS, 2.5 / 4 * EPS, 4), 0.1)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    same_gradients(one, net)
    same_running_means(one, net)


def test_maadvt_of_findings_is_that_of_plain_autograd():
    one, y = model("multi-label"), labels("multi-label")
    net = pixels(one)
    loss = OBJECTIVES.parse("maadvt")(one, X, y, THREAT, DRAWS)
    expected = plain.mart_of_findings(net, X, y, nudge(), EPS, STEP * EPS, 4, 6.0)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    loss.mean().backward()
    expected.mean().backward()
    same_gradients(one, net)


def test_every_objective_has_such_a_case():
    tried = {OBJECTIVES.find(name) for name in (*CASES, "awp")}
    assert set(OBJECTIVES.own.values()) - tried == {OBJECTIVES.find("noisy")}  # whose image test_objectives.py computes
