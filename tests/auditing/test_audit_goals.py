"""An audit with a goal: crafted towards it, judged as the plain task, and counted where it could be asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import robustdx
from robustdx.data import Dataset
from robustdx.data.in_memory import from_torch
from robustdx.errors import PlanError, UnsupportedTask
from robustdx.metrics.cost import expected_cost
from robustdx.models import DiagnosticModel
from robustdx.records import read_table
from robustdx.tasks import Ordinal

SIZE = 6
FINDINGS = ("effusion", "mass", "nodule")
SETTINGS = {
    "eps": ["8/255"],
    "attacks": [{"name": "pgd", "steps": 10}],
    "bootstrap": 100,
    "precision": "float32",
    "escalation": False,
    "pictures": 2,
}
COSTS = [[0, 1, 2, 3], [4, 0, 1, 2], [8, 4, 0, 1], [12, 8, 4, 0]]


def pixels(n: int = 30) -> torch.Tensor:
    return torch.randint(60, 196, (n, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def network(outputs: int) -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, outputs)).eval()
    with torch.no_grad():
        made[1].bias -= made(pixels().float() / 255).mean(0)  # every answer occurs
    return made


def findings() -> Dataset:
    """Labels that the model gets right three times of four; one of each ten not annotated."""
    g = torch.Generator().manual_seed(1)
    said = (network(3)(pixels().float() / 255) > 0).float()
    y = torch.where(torch.rand(said.shape, generator=g) < 0.25, 1 - said, said)
    y[torch.rand(said.shape, generator=g) < 0.1] = float("nan")
    return from_torch(list(zip(pixels(), y, strict=True)), FINDINGS, "multilabel", patients=list(np.arange(30) // 2))


def grades() -> Dataset:
    y = network(4)(pixels().float() / 255).argmax(1)
    return from_torch(list(zip(pixels(), y, strict=True)), "0123", "ordinal", patients=list(np.arange(30) // 2))


def audited(data: Dataset, outputs: int, out: Path, **plan: object) -> tuple[dict, dict]:
    """Metrics and records by attack."""
    results = robustdx.audit(network(outputs), data, out=out, size=SIZE, **{**SETTINGS, **plan})
    cells = {c["attack"]: c for c in results["cells"]}
    records = {name: read_table(out / "cells" / c["key"] / "records.parquet").to_pylist() for name, c in cells.items() if name != "worst"}
    return {name: c["metrics"] for name, c in cells.items()}, records


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, dict]:
    return audited(findings(), 3, tmp_path_factory.mktemp("hidden") / "run", goal={"name": "finding", "finding": "mass"})


def reached(row: dict, form: str) -> bool | None:
    """By hand: mass was there, is not seen any more, and what the model said of the others has not changed."""
    if row["label"][1] != 1:
        return None
    clean, now = row["clean_decision"], row[f"{form}_decision"]
    return now[1] == 0 and [now[0], now[2]] == [clean[0], clean[2]]


def test_the_records_say_of_each_image_whether_it_was_reached(hidden):
    rows = hidden[1]["pgd"]
    for form in ("clean", "searched", "saved"):
        assert [row[f"{form}_goal"] for row in rows] == [reached(row, form) for row in rows]
    assert {True, None} <= {row["saved_goal"] for row in rows}


def test_goal_reached_is_its_share_of_the_images_that_could_be_asked(hidden):
    metrics, records = hidden
    asked = [row["saved_goal"] for row in records["pgd"] if row["saved_goal"] is not None]
    found = metrics["pgd"]["goal_reached"]
    assert found["value"] == pytest.approx(np.mean(asked))
    assert found["low"] <= found["value"] <= found["high"]
    assert metrics["worst"]["goal_reached"] == found
    assert metrics["clean"]["goal_reached"]["value"] < found["value"]


def test_decisions_and_accuracy_stay_the_plain_task_s(hidden, tmp_path):
    plain, _ = audited(findings(), 3, tmp_path / "run")
    assert hidden[0]["clean"]["accuracy"] == plain["clean"]["accuracy"]
    assert hidden[0]["pgd"]["accuracy"]["value"] > plain["pgd"]["accuracy"]["value"], "only one finding was pushed"
    assert "goal_reached" not in plain["pgd"]


def test_what_cannot_be_asked_or_is_reached_already_costs_nothing(hidden):
    for row in hidden[1]["pgd"]:
        assert (row["forwards"] == 0) == (row["clean_goal"] is not False)
        assert row["clean_goal"] is False or row["saved_distance"] == 0


def test_grades_have_kappa_and_a_goal_of_their_own(tmp_path):
    goal = {"name": "grades", "at_least": 2, "direction": "up"}
    metrics, records = audited(grades(), 4, tmp_path / "run", goal=goal, eps=["30/255"])
    for row in records["pgd"]:
        up = row["saved_decision"][0] - row["label"][0]
        assert row["saved_goal"] == (up >= 2 if row["label"][0] < 2 else None)
    assert metrics["clean"]["kappa"]["value"] == 1
    assert metrics["clean"]["grade_error"]["value"] == 0
    assert metrics["pgd"]["kappa"]["value"] < 1
    assert metrics["pgd"]["goal_reached"]["value"] > 0


def test_the_costliest_decision_costs_more_than_any_other_attack(tmp_path):
    goal = {"name": "costly", "costs": COSTS}
    plan = {"eps": ["20/255"], "attacks": [{"name": "pgd", "steps": 20, "early_stop": False}]}
    costly, records = audited(grades(), 4, tmp_path / "costly", goal=goal, **plan)
    plain, plain_records = audited(grades(), 4, tmp_path / "plain", **plan)
    rows = records["pgd"]
    mine, theirs = (
        expected_cost([r["saved_decision"][0] for r in rows], [r["label"][0] for r in rows], COSTS, [r["patient"] for r in rows])
        for rows in (rows, plain_records["pgd"])
    )
    assert costly["pgd"]["cost_per_1000"]["value"] == pytest.approx(mine)
    assert mine > theirs
    assert costly["clean"]["cost_per_1000"]["value"] == 0
    assert "cost_per_1000" not in plain["pgd"]


def test_a_model_in_memory_may_count_steps_between_grades(tmp_path):
    model = DiagnosticModel(network(3), Ordinal(tuple("0123"), cumulative=True), size=(SIZE, SIZE))
    data = from_torch(list(zip(pixels(), [i % 4 for i in range(30)], strict=True)), "0123", "ordinal")
    results = robustdx.audit(model, data, out=tmp_path / "run", **SETTINGS)
    assert results["data"]["kind"] == "ordinal"
    assert "kappa" in results["cells"][0]["metrics"]


def test_an_eps_for_each_channel(tmp_path):
    _, records = audited(findings(), 3, tmp_path / "run", eps=[["8/255", "4/255", "2/255"]])
    assert max(row["saved_distance"] for row in records["pgd"]) == pytest.approx(8 / 255, rel=1e-4)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["plan"]["eps"] == [[8 / 255, 4 / 255, 2 / 255]]


@pytest.mark.parametrize(
    ("plan", "error", "words"),
    [
        ({"goal": {"name": "grades"}}, UnsupportedTask, "ordered grades, got MultiLabel"),
        ({"goal": {"name": "finding", "finding": "efusion"}}, PlanError, "did you mean effusion"),
        ({"goal": {"name": "findings"}}, PlanError, "did you mean finding"),
        ({"goal": {"name": "finding", "wanted": "lost", "finding": "mass"}}, PlanError, "hidden, planted, turned"),
        ({"threat": "l2", "eps": [["1/255", "2/255", "3/255"]]}, PlanError, "one number for all channels"),
    ],
)
def test_what_has_no_meaning_is_refused_before_anything_is_written(plan, error, words, tmp_path):
    with pytest.raises(error, match=words):
        audited(findings(), 3, tmp_path / "run", **plan)
    assert not (tmp_path / "run").exists()


def test_a_target_that_every_image_is_already_is_refused(tmp_path):
    data = from_torch([(image, 1) for image in pixels()], ("nevus", "melanoma"), "binary")
    with pytest.raises(PlanError, match="none of the 30 images: each of them is what is wanted already"):
        robustdx.audit(network(1), data, out=tmp_path / "run", size=SIZE, goal={"name": "class", "wanted": "melanoma"}, **SETTINGS)
