"""Two processes take the step that one would take, through batch norm and PGD."""

import json
from pathlib import Path

import pytest
import torch
from small_training import SMALL

from robustdx.catalogue import build
from robustdx.errors import PlanError
from robustdx.store import Store
from robustdx.training.loop import Loop
from robustdx.training.plan import HardenPlan
from robustdx.training.prepare import prepare, words
from robustdx.training.step import Step
from robustdx.training.team import ALONE, Team, joined, led, require_workers

PLAN = {**SMALL, "objective": {"name": "madry", "steps": 2}, "precision": "float32", "judge": None}


def first_gradient(team: Team) -> list[torch.Tensor]:
    """The gradient of the first step, gathered from two batches, and the running means and variances after it."""
    training = prepare(build(HardenPlan, {**PLAN, "accumulate": 2, "l1": 1e-4}, where="plan"))
    learner, plan = training.learner(team), training.plan
    step = Step(plan, plan.objective_of(1), training.train, (20, 20), training.plan.adversary, training.order.weights, "float32")
    step(learner, training.order.batches(0, plan.step_images)[0])
    return [*(p.grad for p in learner.model.parameters()), *(b for b in learner.model.network.buffers() if b.is_floating_point())]


def both(team: Team, folder: Path) -> list[torch.Tensor]:
    """The first gradient, and a training of one epoch in a folder."""
    gradient = first_gradient(team)
    plan = build(HardenPlan, {**PLAN, "stages": [{"epochs": 1}]}, where="plan")
    training = prepare(plan)
    store = Store.open(folder, words(training)) if team.leads else Store(folder)
    Loop(training, store, lambda what, done, whole: None, team=team).run()
    return gradient


def helped(team: Team, meeting: Path, folder: Path) -> None:
    with joined(team, meeting):
        both(team, folder)


def test_two_processes_take_the_steps_of_one(tmp_path):
    """One test for all, since a process takes seconds to start."""
    alone = both(ALONE, tmp_path / "one")
    with led(2, helped, tmp_path / "two"):
        together = both(Team(0, 2), tmp_path / "two")
    for a, b in zip(alone, together, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    assert max(float(a.abs().max()) for a in alone) > 0.1
    (one,), (two,) = (json.loads((tmp_path / name / "curve.json").read_text())["epochs"] for name in ("one", "two"))
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)
    assert (tmp_path / "two" / "manifest.json").exists()


@pytest.mark.parametrize(("workers", "device", "told"), [(0, "cpu", "batch_size = 16"), (17, "cpu", "got 17"), (2, "cuda", "cuda is none")])
def test_workers_that_cannot_share_the_work_are_refused(workers, device, told):
    with pytest.raises(PlanError, match=told):
        require_workers(workers, 16, device)
