"""tables/*.csv say what results.json and the records say."""

import csv
import json

import pytest

from robustdx.errors import RunError
from robustdx.records import Cell, table
from robustdx.report.tables import named, write_tables
from robustdx.store import Store

NAN = float("nan")
CLEAN = Cell("clean", "", 0.0, "test", {}, False, "saved")
PGD = Cell("pgd", "linf", 2 / 255, "test", {"name": "pgd"}, False, "saved")


def numbers(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def entry(cell, value, attack=None):
    metrics = {"accuracy": numbers(value), "auroc:naevus": numbers(0.7)}
    return {
        "attack": attack or cell.attack,
        "threat": cell.threat,
        "eps": cell.eps,
        "split": "test",
        "images": 2,
        "patients": None,
        "metrics": metrics,
    }


def row(i, label, clean, saved):
    decided = {"clean_decision": [clean], "searched_decision": [saved], "saved_decision": [saved]}
    scores = {f"{form}_scores": [0.5, 0.5] for form in ("clean", "searched", "saved")}
    counted = {"searched_distance": 0.00784, "saved_distance": 0.00784, "forwards": 41, "backwards": 40}
    return {"id": f"ä,{i}", "patient": None, "label": [label]} | decided | scores | counted


@pytest.fixture
def run(tmp_path):
    store = Store.open(tmp_path / "a run", {})
    for cell, broken in ((CLEAN, 1), (PGD, 0)):
        store.add_part(cell, 0, table([row(0, 1, 1, broken), row(1, 0, 0, 0)]), 1.0)
        store.finish(cell, 1)
    cells = [entry(CLEAN, 0.9), entry(PGD, 0.5), entry(PGD, 0.4, "worst")]
    store.write_text(
        "results.json", json.dumps({"schema": 1, "data": {"kind": "binary", "classes": ["naevus", "melanoma"]}, "cells": cells})
    )
    write_tables(store.path)
    return store.path


def read(run, name):
    with (run / "tables" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_metrics_has_a_row_per_cell_and_metric(run):
    rows = read(run, "metrics")
    assert len(rows) == 6
    assert rows[2] == {
        "attack": "pgd",
        "threat": "linf",
        "eps_255": "2",
        "split": "test",
        "metric": "accuracy",
        "value": "0.5",
        "low": "0.4",
        "high": "0.6",
        "images": "2",
        "patients": "",
    }


def test_accuracy_has_a_row_per_budget_and_a_column_per_attack(run):
    clean, budget = [r for r in read(run, "accuracy") if r["metric"] == "accuracy"]
    assert list(budget) == ["metric", "split", "threat", "eps_255", "images", "patients", "clean", "pgd", "worst"]
    assert (clean["eps_255"], clean["clean"], clean["pgd"]) == ("0", "0.900 [0.800, 1.000]", "")
    assert (budget["eps_255"], budget["clean"], budget["pgd"], budget["worst"]) == (
        "2",
        "0.900 [0.800, 1.000]",
        "0.500 [0.400, 0.600]",
        "0.400 [0.300, 0.500]",
    )


def test_images_has_a_row_per_cell_and_image_with_decisions_by_name(run):
    rows = read(run, "images")
    assert [r["cell"] for r in rows] == ["clean-test"] * 2 + ["pgd-linf-2-test"] * 2
    assert rows[2]["id"] == "ä,0"
    assert [rows[2][k] for k in ("label", "clean", "searched", "saved")] == ["melanoma", "melanoma", "naevus", "naevus"]
    assert [rows[2][k] for k in ("patient", "saved_distance", "forwards", "backwards")] == ["", "0.00784", "41", "40"]


def test_findings_are_named_where_they_are_present_or_not_annotated():
    data = {"kind": "multilabel", "classes": ["mass", "nodule", "effusion"]}
    assert named([1, 0, NAN], data) == "mass; effusion=?"
    assert named([0, 0, 0], data) == ""
    assert named(None, data) == ""


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"expected results\.json"):
        write_tables(tmp_path)
