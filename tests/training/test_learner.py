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
    return Learner(model, copy.deepcopy(model), plan, steps_per_epoch)


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
    one.learn(one.model(torch.rand(2, 3, 20, 20)).sum())
    torch.testing.assert_close(one.average.network.head.bias, (before + one.model.network.head.bias.detach()) / 2)


def test_early_steps_are_forgotten_sooner():
    one = learner(average=0.99)
    before = one.average.network.head.bias.clone()
    one.learn(one.model(torch.rand(2, 3, 20, 20)).sum())
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
    one.learn(one.model(x).square().mean())
    other.restore(copy.deepcopy(one.state()))
    for each in (one, other):
        each.learn(each.model(x).square().mean())
    for a, b in zip(one.state()["average"].values(), other.state()["average"].values(), strict=True):
        assert torch.equal(a, b)


def test_a_gradient_that_is_no_number_stops_before_it_spoils_a_weight():
    """On the processor, bfloat16 leaves the gradient of taps that only ever see padding undefined: the loss never shows it."""
    one = learner()
    before = copy.deepcopy(one.model.state_dict())
    one.model.network.head.weight.register_hook(lambda grad: grad.fill_(float("nan")))
    with pytest.raises(RunError, match=r"the gradient of network\.head\.weight is not a number at step 1 of 100, though the loss is one"):
        one.learn(one.model(torch.rand(2, 3, 20, 20)).sum())
    after = one.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items() if "running" not in name and "num_batches" not in name)
