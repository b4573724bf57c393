"""What the page says where the adversary was after something in particular, or only asked, or did not have the model."""

import json

import pytest
from fabricated import LUNG, edit, make_run

from robustdx.report import goals, words
from robustdx.report.cautions import limits
from robustdx.report.findings import read
from robustdx.report.grids import numbers as grid
from robustdx.report.numbers import NBSP
from robustdx.report.page import render

HIDE = {"name": "finding", "finding": "Effusion"}


def with_goal(folder, goal, reached=(0.1, 0.4, 0.9), **metrics):
    """A run on lungs whose adversary had a goal."""
    run = make_run(folder, kind="multilabel", classes=LUNG, shares=(1,) * 6, budgets={"linf": (1 / 255, 2 / 255)}, images=60)
    results = json.loads((run / "results.json").read_text())
    for cell in results["cells"]:
        at = round(cell["eps"] * 255)
        own = {"goal_reached": reached[at], **{name: values[at] for name, values in metrics.items()}}
        cell["metrics"] |= {name: {"value": v, "low": v / 2, "high": v} for name, v in own.items()}
    return edit(run, cells=results["cells"], plan={"goal": goal})


def test_the_headline_and_the_answers_speak_of_the_goal(tmp_path):
    f = read(with_goal(tmp_path / "run", HIDE))
    assert words.headline(f).endswith(
        "out to hide Effusion while every other finding stays as it is, an adversary succeeds on 90 of 100 where it can try, "
        "with a change too small to see."
    )
    _, said = words.came_out(f)
    assert f"It succeeded on 40{NBSP}% at 1/255 and 90{NBSP}% at 2/255, 10{NBSP}% without any attack" in said


def test_what_it_costs(tmp_path):
    f = read(with_goal(tmp_path / "run", {"name": "costly", "costs": []}, cost_per_1000=(120.0, 900.0, 4321.0)))
    assert goals.reached(f)[-1] == "Expected cost of 1,000 patients, in the units of the plan: 120 not attacked, 4,321 at 2/255."
    columns = grid(f).columns
    assert {"Goal reached", "Cost of 1,000"} <= set(columns)
    assert grid(f).rows[-1].entries[columns.index("Cost of 1,000")].value == "4,321"


@pytest.mark.parametrize(
    ("goal", "aim"),
    [
        ({"name": "finding", "finding": "Mass", "wanted": "planted", "keep_others": False}, "plant Mass"),
        ({"name": "grades"}, "move the grade by 1 step or more"),
        ({"name": "grades", "at_least": 2, "direction": "up"}, "move the grade by 2 steps or more up"),
        ({"name": "class", "wanted": "nevus"}, "have the image called nevus"),
        ({"name": "any"}, "turn at least one finding"),
        ({"name": "all"}, "turn every finding at once"),
    ],
)
def test_every_goal_in_words(goal, aim, run):
    f = read(run)
    assert goals.aim(type(f)({**f.results, "plan": {"goal": goal}}, f.run)) == aim


def test_a_page_with_a_goal_has_its_curve(tmp_path):
    folder = with_goal(tmp_path / "run", HIDE)
    assert "Goal reached against the size of the change" in render(read(folder), folder)


def described(run, **more):
    """The run of the room with other facts."""
    f = read(run)
    return type(f)(f.results, {**f.run, **more}, f.labels, f.decisions)


def test_attacks_that_only_ask_are_called_black_box(run):
    f = described(run, documents={"pgd": {"black_box": True}})
    assert "Attacked by FGSM, which knows the network (white box), and by PGD, which only asks it (black box)" in words.tested(f)[2]


def test_transfer_is_called_by_its_name(run):
    said = words.tested(described(run, surrogates=["ResNet-34"]))[2]
    assert "which know a network (white box)" in said
    assert said.endswith("crafted on ResNet-34 and then shown to ResNet-18 (transfer): who has the model itself finds more.")


def test_what_was_tried_is_not_called_missing(run):
    f = read(run)
    assert "Missing: ensembles such as AutoAttack." in limits(f)[0], "the escalation asks, and adapts itself"
    members = [{"name": "apgd", "steps": 100}, {"name": "apgd-targeted", "steps": 100, "targets": 9}, {"name": "square", "queries": 5000}]
    cells = [c if c["attack"] != "pgd" else {**c, "settings": {"name": "cascade", "members": members}} for c in f.results["cells"]]
    f = type(f)({**f.results, "cells": cells}, f.run)
    assert limits(f)[0] == "Tried: FGSM and PGD."
    assert f.steps("pgd") == 1000
