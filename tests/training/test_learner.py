"""What a step does: the schedule, the average, the weights that are spared."""

import copy
import math

import pytest
import torch
from small_training import small

from robustdx.errors import RunError
from robustdx.models import ModelSpec, new
from robustdx.training.learner import Learner


def learner(steps_per_epoch: int = 10, **changes) -> Learner:
    torch.manual_seed(0)
    model = new(ModelSpec(source="cnn", size=20), "binary", ("no", "yes"))
    plan = small(**{"stages": [{"epochs": 10}], "warm_up": 2, "learning_rate": 0.1, **changes})
    return Learner(model, copy.deepcopy(model), plan, steps_per_epoch, plan.epochs * steps_per_epoch)


def test_the_learning_rate_rises_in_a_line_and_falls_as_half_a_cosine():
    one, rates = learner(), []
    for step in range(101):
        one.step = step
        rates.append(one.learning_rate)
    assert rates[:20] == pytest.approx([0.1 * (i + 1) / 21 for i in range(20)])
    assert rates[20] == pytest.approx(0.1)
    assert rates[60] == pytest.approx(0.1 * (1 + math.cos(math.pi / 2)) / 2)
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_the_average_follows_the_weights_and_ends_at_the_plans_pace():
    one = learner(average=0.5)
    before = one.average.network.head.bias.clone()
    one.step = 100
    one.learn([one.model(torch.rand(2, 3, 20, 20)).sum()])
    torch.testing.assert_close(one.average.network.head.bias, (before + one.model.network.head.bias.detach()) / 2)


def test_early_steps_are_forgotten_sooner():
    one = learner(average=0.99)
    before = one.average.network.head.bias.clone()
    one.learn([one.model(torch.rand(2, 3, 20, 20)).sum()])
    torch.testing.assert_close(one.average.network.head.bias, before / 11 + one.model.network.head.bias.detach() * 10 / 11)


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_biases_and_normalisations_do_not_decay(optimiser):
    groups = learner(optimiser=optimiser, weight_decay=0.1).optimiser.param_groups
    assert {p.dim() > 1 for p in groups[0]["params"]} == {True}
    assert {p.dim() > 1 for p in groups[1]["params"]} == {False}
    assert [g["weight_decay"] for g in groups] == [0.1, 0.0]


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_restored_learner_goes_on_alike(optimiser):
    x = torch.rand(4, 3, 20, 20)
    one, other = learner(optimiser=optimiser), learner(optimiser=optimiser)
    one.learn([one.model(x).square().mean()])
    other.restore(copy.deepcopy(one.state()))
    for each in (one, other):
        each.learn([each.model(x).square().mean()])
    for a, b in zip(one.state()["average"].values(), other.state()["average"].values(), strict=True):
        assert torch.equal(a, b)


def test_a_gradient_that_is_no_number_stops_before_it_spoils_a_weight():
    """On the processor, bfloat16 leaves the gradient of taps that only ever see padding undefined: the loss never shows it."""
    one = learner()
    before = copy.deepcopy(one.model.state_dict())
    one.model.network.head.weight.register_hook(lambda grad: grad.fill_(float("nan")))
    with pytest.raises(RunError, match=r"the gradient of network\.head\.weight is not a number at step 1 of 100, though the loss is one"):
        one.learn([one.model(torch.rand(2, 3, 20, 20)).sum()])
    after = one.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items() if "running" not in name and "num_batches" not in name)


def one_step(**changes) -> Learner:
    """Plain gradient descent as far as SGD goes: the first Nesterov step is 1.9 times the gradient."""
    one = learner(**{"weight_decay": 0, "warm_up": 0, **changes})
    one.learn([one.model.network.head.bias.sum() + 0 * one.model(torch.rand(2, 3, 20, 20)).sum()])
    return one


def moved(one: Learner, name: str) -> torch.Tensor:
    """By how much the gradient of a weight moved it, in units of the gradient."""
    before, after = learner().model.state_dict(), one.model.state_dict()
    return (before[name] - after[name]) / (0.1 * 1.9)


def test_losses_that_come_one_after_the_other_are_one_step():
    whole, parts = learner(), learner()
    for one in (whole, parts):
        one.model.eval()  # batch norm would see the parts apart
    x = torch.rand(6, 3, 20, 20)
    told = whole.learn([whole.model(x).square().sum()]), parts.learn(parts.model(part).square().sum() for part in x.split(2))
    assert told[0] == pytest.approx(told[1], rel=1e-5)
    assert parts.step == 1
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_the_l1_penalty_adds_the_sign_of_each_weight():
    name = "network.features.0.0.weight"
    before = learner().model.state_dict()[name]
    torch.testing.assert_close(moved(one_step(l1=0.01), name), 0.01 * before.sign(), rtol=1e-3, atol=1e-5)


def test_a_long_gradient_is_shortened_and_a_short_one_is_left():
    bias = "network.head.bias"
    assert float(moved(one_step(clip=0.5), bias).norm()) == pytest.approx(0.5, rel=1e-4)
    torch.testing.assert_close(moved(one_step(clip=50), bias), moved(one_step(), bias))


def test_swa_is_the_plain_mean_of_the_last_quarter():
    one, seen = learner(average="swa", steps_per_epoch=4), []
    for _ in range(40):
        one.learn([one.model(torch.rand(2, 3, 20, 20)).sum()])
        seen.append(one.model.network.head.bias.detach().clone())
        if one.step == 30:
            assert torch.equal(one.average.network.head.bias, seen[-1])
    torch.testing.assert_close(one.average.network.head.bias, torch.stack(seen[29:]).mean(0))
