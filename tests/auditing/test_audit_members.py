"""Which member of a cascade broke which image, and attacks that are shown some of the images only."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

import robustdx
from robustdx.auditing.summary import summarise
from robustdx.data.in_memory import from_torch
from robustdx.records import read_table, write_table
from robustdx.store import Store

SIZE, N = 6, 60
WEAK = {"name": "pgd", "steps": 1, "step_size": 0.3, "random_start": False}
CASCADE = {"name": "cascade", "members": [WEAK, {"name": "apgd", "steps": 10}, {"name": "square", "queries": 20}]}
SQUARE = {"name": "square", "queries": 60, "images": 20}
SETTINGS = {"eps": ["8/255"], "bootstrap": 100, "precision": "float32", "escalation": False, "pictures": 0, "size": SIZE}


def network() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 16, 3))
    made[-1].weight.data *= 3
    return made


def data():
    """Images that the network answers rightly, but for every sixth."""
    images = torch.randint(40, 216, (N, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    with torch.no_grad():
        labels = network()(images.float() / 255).argmax(1)
    labels[::6] = (labels[::6] + 1) % 3
    pairs = [(image, int(y)) for image, y in zip(images, labels, strict=True)]
    return from_torch(pairs, ("a", "b", "c"), "multiclass", patients=[n // 2 for n in range(N)])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members") / "run"
    robustdx.audit(network(), data(), out=folder, attacks=[{"name": "fgsm"}, CASCADE, SQUARE], **SETTINGS)
    return folder


@pytest.fixture(scope="module")
def cells(run):
    return {c["attack"]: c for c in json.loads((run / "results.json").read_text())["cells"]}


def records(run, attack):
    return next(table for cell, table in Store(run).cells() if cell.attack == attack).to_pylist()


def turned(row):
    return row["clean_decision"] == [int(row["label"][0])] != row["saved_decision"]


def test_each_broken_image_names_its_member_and_no_other_does(run):
    rows = records(run, "cascade")
    assert {row["member"] for row in rows} >= {None, "pgd", "apgd"}
    assert all((row["member"] is not None) == turned(row) for row in rows)
    assert all(row["member"] is None for row in records(run, "fgsm"))
    assert all(row["backwards"] == 1 for row in rows if row["member"] == "pgd")


def test_results_count_what_each_member_broke_and_what_it_took(run, cells):
    rows = records(run, "cascade")
    counts = cells["cascade"]["members"]
    assert list(counts) == ["pgd", "apgd", "square"]
    for name, count in counts.items():
        own = [row for row in rows if row["member"] == name]
        assert count == {"broken": len(own), **{way: sum(row[way] for row in own) for way in ("forwards", "backwards")}}
    assert sum(c["broken"] for c in counts.values()) == cells["cascade"]["broken"]["images"] == sum(map(turned, rows))
    assert cells["cascade"]["broken"]["of"] == 50
    assert "members" not in cells["fgsm"]


def test_an_attack_may_be_shown_some_of_the_images_and_the_worst_case_is_still_over_all(run, cells):
    shown = cells["square"]
    assert 20 <= shown["images"] <= 21 < cells["worst"]["images"] == N
    broken = {row["id"] for name in ("fgsm", "cascade", "square") for row in records(run, name) if turned(row)}
    assert cells["worst"]["broken"] == {"images": len(broken), "of": 50}
    wrong = {row["id"] for row in records(run, "clean") if row["clean_decision"] != [int(row["label"][0])]}
    assert cells["worst"]["metrics"]["accuracy"]["value"] == pytest.approx(1 - len(broken | wrong) / N)


def test_which_images_it_is_shown_depends_on_the_seed_alone(run, tmp_path):
    robustdx.audit(network(), data(), out=tmp_path / "again", attacks=[SQUARE], batch_size=7, **SETTINGS)
    assert [row["id"] for row in records(tmp_path / "again", "square")] == [row["id"] for row in records(run, "square")]


def test_the_query_curve_of_who_only_asks(run, cells):
    rows = [row for row in records(run, "square") if row["clean_decision"] == [int(row["label"][0])]]
    curve = cells["square"]["queries"]
    for within, share in zip(curve["within"], curve["broken"], strict=True):
        assert share == pytest.approx(np.mean([turned(row) and row["forwards"] <= within for row in rows]), abs=1e-6)
    assert curve["within"][:4] == [1, 2, 5, 10]
    assert curve["broken"][-1] == pytest.approx(cells["square"]["broken"]["images"] / len(rows), abs=1e-6)
    assert "queries" not in cells["fgsm"]


def test_records_from_before_there_were_members_are_read(run, tmp_path):
    for path in run.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(run)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path.relative_to(run)).write_bytes(path.read_bytes())
    for path in tmp_path.rglob("records.parquet"):
        table = read_table(path)
        write_table(pa.Table.from_pydict({n: table[n] for n in table.column_names if n != "member"}), path)
    found = {c["attack"]: c for c in summarise(Store(tmp_path))["cells"]}
    assert "members" not in found["cascade"]
    assert found["cascade"]["broken"]["of"] == 50


@pytest.mark.parametrize("images", [0, -3, 1.5, True, "ten"])
def test_a_number_of_images_that_is_none_is_refused(images, tmp_path):
    with pytest.raises(robustdx.errors.PlanError, match="attack square: images must be a whole number"):
        robustdx.audit(network(), data(), out=tmp_path / "run", attacks=[{**SQUARE, "images": images}], **SETTINGS)
