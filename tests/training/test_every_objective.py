"""What every objective in the catalogue promises. A new objective is tested here without a line of its own."""

import re
import warnings
from collections import Counter
from pathlib import Path

import pytest
import torch
from small_networks import DRAWS, TASKS, B, gradients, images, labels, model

from robustdx.draws import Draws
from robustdx.errors import PlanError, UnsupportedTask
from robustdx.models import still
from robustdx.tasks import MultiLabel, Targeted
from robustdx.threats import L2, Linf
from robustdx.training import OBJECTIVES
from robustdx.training.objectives import AWP

CHEAP = {
    "madry": {"steps": 2},
    "at-pgd": {"steps": 2},
    "at-mixed": {"steps": 2},
    "trades": {"steps": 2},
    "mart": {"steps": 2},
    "free": {"replays": 2},
    "universal": {"steps": 2},
    "awp": {"objective": {"name": "madry", "steps": 1}, "gamma": 0.05},
}
"""Settings under which a dear objective shows the same."""

JOINT = ("awp", "universal")
"""Objectives whose images depend on one another: they share a move of the weights, or a perturbation."""

OUTSIDE = ("n-fgsm", "noisy", "mpadvt-released", "maadvt-released")
"""Objectives that show images outside of the plan's threat: by design, or by a fault that is kept."""

REFUSED = {("maadvt-released", "multi-label"): "no form for several findings.*as_published"}
"""Tasks that an objective has no meaning for, and what it says."""

UNCOUNTED = ("grad-align", "at-mixed", "mpadvt", "mpadvt-released")
"""Objectives that cost a backward pass through a backward pass, or what is drawn."""

PAGE = Path(__file__).parents[2] / "docs" / "hardening.md"
THREAT = Linf(8 / 255)
NAMES = sorted(OBJECTIVES.methods) + list(OBJECTIVES.presets)
PAIRS = [(name, task) for name in NAMES for task in TASKS if (name, task) not in REFUSED]


def made(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return OBJECTIVES.parse({"name": name, **CHEAP.get(name, {})})


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_it_runs_and_leaves_the_model_as_it_was(name, task):
    objective, one, x, y = made(name), model(task), images(), labels(task)
    before, weights, stream = x.clone(), [p.detach().clone() for p in one.parameters()], torch.random.get_rng_state()
    loss = objective(one, x, y, THREAT, DRAWS)
    assert loss.shape == (B,)
    assert loss.dtype == torch.float32
    assert bool(loss.isfinite().all())
    assert torch.equal(x, before)
    assert torch.equal(torch.random.get_rng_state(), stream)
    assert all(m.training for m in one.modules())
    assert all(p.requires_grad and p.grad is None and torch.equal(p, w) for p, w in zip(one.parameters(), weights, strict=True))
    loss.mean().backward()
    assert all(bool(g.isfinite().all()) for g in gradients(one))
    assert any(float(g.abs().max()) > 0 for g in gradients(one))


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_in_bfloat16(name):
    one = model("multi-class")
    with torch.autocast("cpu", torch.bfloat16):
        loss = made(name)(one, images(), labels("multi-class"), THREAT, DRAWS)
    loss.mean().backward()
    assert loss.dtype == torch.float32
    assert all(bool(g.isfinite().all()) for g in gradients(one))
    assert any(float(g.abs().max()) > 0 for g in gradients(one))


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_same_draws_same_loss_and_a_batch_equals_its_singles(name, task):
    objective, one, x, y = made(name), model(task, norm=False), images(), labels(task)
    together = objective(one, x, y, THREAT, DRAWS).detach()
    assert torch.equal(together, objective(one, x, y, THREAT, DRAWS).detach())
    if name not in JOINT:
        alone = [objective(one, x[i : i + 1], y[i : i + 1], THREAT, DRAWS.take([i])).detach() for i in range(B)]
        torch.testing.assert_close(torch.cat(alone), together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in NAMES if (n, "multi-label") not in REFUSED])
def test_what_is_not_annotated_counts_nowhere(name):
    objective, one, x, y = made(name), model("multi-label", norm=False), images(), labels("multi-label")
    losses = [objective(one, x[i : i + 1], y[i : i + 1], THREAT, DRAWS.take([i])).sum() for i in (0, B - 1)]
    assert float(losses[1].detach()) == 0  # no finding of the last image
    sum(losses).backward()
    head = one.network[-1]
    assert float(head.weight.grad[1].abs().max()) == float(head.bias.grad[1]) == 0  # the one that the first image has no label of
    assert float(head.bias.grad[0]) != 0


@pytest.mark.parametrize("threat", [THREAT, L2(0.5)], ids=str)
@pytest.mark.parametrize("name", [n for n in NAMES if n not in OUTSIDE])
def test_what_it_shows_lies_in_the_threat(name, threat):
    one, x = model("multi-class"), images()
    with still(one):
        x_adv = made(name).craft(one, x, labels("multi-class"), threat, DRAWS)
    assert float(threat.distance(x_adv, x).max()) <= threat.eps * (1 + 1e-5)
    assert 0 <= float(x_adv.min()) <= float(x_adv.max()) <= 1


@pytest.mark.parametrize("name", [n for n in NAMES if n not in UNCOUNTED])
def test_it_costs_what_it_says(name):
    objective, one, passes = made(name), model("multi-class"), Counter()

    def counted(network, args, outputs):
        passes["forward"] += len(outputs)
        if outputs.requires_grad:
            outputs.register_hook(lambda grad: passes.update(backward=len(grad)))

    one.network.register_forward_hook(counted)
    objective(one, images(), labels("multi-class"), THREAT, DRAWS).mean().backward()
    assert passes["forward"] + passes["backward"] == B * sum(objective.passes)


def test_the_page_on_hardening_tells_every_objective_and_its_price():
    rows = re.findall(r"^\| (`.+`) \|.*\| (?:of `madry` )?(\d+) \|", PAGE.read_text(), re.MULTILINE)
    told = {name: int(price) for names, price in rows for name in re.findall("`([^`]+)`", names)}
    assert set(told) == {*OBJECTIVES.own, *OBJECTIVES.presets} - {"mpadvt-released", "maadvt-released"}
    assert {name: sum(OBJECTIVES.parse(name).passes) for name in told} == told


@pytest.mark.parametrize("name", ["at-mixed", "mpadvt"])
def test_what_is_drawn_costs_that_on_average(name):
    count, objective, one, seen = 300, made(name), model("multi-class"), Counter()
    one.network.register_forward_hook(lambda network, args, outputs: seen.update(forward=len(outputs)))
    with still(one):
        objective.craft(one, images(count), labels("multi-class", count), THREAT, Draws(0, tuple(map(str, range(count)))))
    assert 2 * seen["forward"] / count == pytest.approx(objective.passes.crafting, rel=0.15)


@pytest.mark.parametrize("name", NAMES)
def test_its_words_make_it_again(name):
    objective = made(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = OBJECTIVES.parse(OBJECTIVES.dump(objective))
    assert again == objective
    assert hash(again) == hash(objective)


@pytest.mark.parametrize("name", NAMES)
def test_an_adversarys_aim_is_refused_in_words(name):
    one = model("multi-class")
    with pytest.raises(UnsupportedTask, match="got Targeted, which is what an adversary wants: hand over the model with the task itself"):
        made(name)(one.with_task(Targeted(one.task)), images(), labels("multi-class"), THREAT, DRAWS)


@pytest.mark.parametrize(("pair", "told"), REFUSED.items(), ids=str)
def test_a_task_without_a_form_is_refused_by_name(pair, told):
    name, task = pair
    for objective in (made(name), AWP(objective=made(name))):
        with pytest.raises(UnsupportedTask, match=f"maadvt.*{told}"):
            objective(model(task), images(), labels(task), THREAT, DRAWS)


@pytest.mark.parametrize(
    "words",
    [
        {"name": "madry", "steps": 0},
        {"name": "at-mixed", "steps": 0},
        {"name": "trades", "beta": -1},
        {"name": "mart", "step_size": 0},
        {"name": "maadvt", "steps": 0},
        {"name": "mpadvt", "version": "paper"},
        {"name": "mpadvt", "gamma": -1},
        {"name": "advt", "version": "released"},
        {"name": "advt", "std": [0.1, 0.1, 0.1]},
        {"name": "maadvt", "version": "released", "std": [0.1, 0.1, 0.1]},
        {"name": "awp", "gamma": -0.1},
        {"name": "awp", "objective": {"name": "tradez"}},
        {"name": "free", "replays": 0},
        {"name": "n-fgsm", "k": -1},
        {"name": "grad-align", "weight": float("inf")},
        {"name": "universal", "steps": 0},
        {"name": "focal", "gamma": float("nan")},
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_refused(words):
    with pytest.raises(PlanError):
        OBJECTIVES.parse(words)


def test_the_tasks_here_are_all_there_are():
    from robustdx.tasks import TASKS as KNOWN

    assert {type(task) for task, _ in TASKS.values()} == set(KNOWN.own.values())
    assert any(isinstance(task, MultiLabel) for task, _ in TASKS.values())
