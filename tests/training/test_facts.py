"""What run.json and plan.toml say of a training."""

import tomllib

import pytest
import tomli_w
from small_training import small

from robustdx.catalogue import build
from robustdx.training.facts import described, facts, plan_words
from robustdx.training.plan import HardenPlan
from robustdx.training.prepare import prepare


def test_the_plan_written_down_is_the_plan(training):
    text = tomli_w.dumps(plan_words(training))
    assert 'eps = "2/255"' in text
    again = build(HardenPlan, tomllib.loads(text), where="plan")
    assert plan_words(prepare(again)) == plan_words(training)
    assert again.eps == training.plan.eps
    assert again.stages == training.plan.stages


@pytest.mark.parametrize("eps", [2 / 255, 0.3, 0.0, 1.5 / 255, 1 / 3])
def test_a_budget_is_written_so_that_it_is_read_again_to_the_last_digit(eps):
    training = prepare(small(eps=eps, objective={"name": "standard"}))
    assert build(HardenPlan, plan_words(training), where="plan").eps == eps


def test_classes_are_counted_by_split(training):
    data = facts(training, "robustdx harden")["data"]
    assert list(data["splits"]) == ["train", "val", "test"]
    assert data["splits"]["train"]["images"] == len(training.train)
    assert sum(data["splits"]["val"]["labels"].values()) == len(training.val)
    assert data["licence"].startswith("none is needed")


def test_findings_may_be_several_or_none():
    data = described("synthetic,task=multilabel,images=40", "auto", 0)
    counted = data["splits"]["train"]
    assert sum(counted["labels"].values()) != counted["images"]
    assert all(n <= counted["images"] for n in counted["labels"].values())
