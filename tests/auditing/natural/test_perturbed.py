"""Perturbations in an audit: what is recorded, what is computed of it, and that everything else stays as it was."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
import torch
from dark_or_bright import Dimmed, content, pixels, plan, ready, run
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from robustdx import store as stores
from robustdx.errors import PlanError, RunError
from robustdx.store import Store


def brightness(x):
    return x.reshape(len(x), -1).mean(1) / 255


@pytest.fixture
def labels():
    return np.arange(60) // 2 % 2


def test_a_row_per_image_and_severity_clean_beside_perturbed(data, tmp_path, labels):
    run(data, tmp_path / "run", perturbations=["dimmed"])
    cells = {cell.severity: records for cell, records in Store(tmp_path / "run").natural("perturbation")}
    assert sorted(cells) == [1, 2, 3, 4, 5]
    dimmed = (pixels() / 255 - 0.3).clip(0, 1)
    expected = (np.round(dimmed * 255) / 255).reshape(60, -1).mean(1) > 0.5
    rows = {row["id"]: row for row in cells[3].to_pylist()}
    assert [rows[e.id]["saved_decision"][0] for e in data.examples] == expected.astype(int).tolist()
    assert [rows[e.id]["clean_decision"][0] for e in data.examples] == (brightness(pixels()) > 0.5).astype(int).tolist()
    assert {row["searched_decision"] for row in rows.values()} == {None}
    assert {row["saved_distance"] for row in rows.values()} == {None}
    assert {(row["forwards"], row["backwards"]) for row in rows.values()} == {(1, 0)}


def test_numbers_equal_scikit_learn_and_changes_are_paired(data, tmp_path, labels):
    found = run(data, tmp_path / "run", perturbations=[{"name": "dimmed", "severities": [1, 4]}])["natural"]
    (own,) = found["perturbations"]
    after = np.round((pixels() / 255 - 0.4).clip(0, 1) * 255) / 255
    level = after.reshape(60, -1).mean(1)
    last = own["severities"][1]
    accuracy = ((level > 0.5) == labels).mean()
    assert last["metrics"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert last["metrics"]["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(labels, level > 0.5))
    assert last["metrics"]["auroc_macro"]["value"] == pytest.approx(roc_auc_score(labels, level))
    clean = found["clean"]["metrics"]["accuracy"]["value"]
    assert clean > accuracy + 0.2
    change = last["change"]["accuracy"]
    assert change["value"] == pytest.approx(accuracy - clean)
    assert change["low"] < change["value"] < change["high"] < 0
    each = [severity["metrics"]["accuracy"]["value"] for severity in own["severities"]]
    assert own["mean"]["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(each))


def test_what_changes_nothing_has_no_change_and_still_an_interval(data, tmp_path):
    found = run(data, tmp_path / "run", perturbations=["kept"])["natural"]["perturbations"][0]["severities"][0]
    change = found["change"]["accuracy"]
    assert change["value"] == 0
    assert -0.2 < change["low"] < 0 < change["high"] < 0.2
    assert found["metrics"]["fooling_rate"]["value"] == 0


def test_images_are_judged_as_an_8_bit_file_holds_them(data, tmp_path):
    seen = []

    class Watching(torch.nn.Module):
        def forward(self, x):
            seen.append(x.detach().clone())
            logit = x.mean((1, 2, 3)) - 0.5
            return torch.stack([-logit, logit], 1)

    run(data, tmp_path / "run", Watching(), perturbations=[{"name": "grain", "severities": 2}])
    assert max(float((x * 255 - (x * 255).round()).abs().max()) for x in seen if len(x) > 1) < 1e-4


def test_existing_cells_and_numbers_do_not_change(data, tmp_path):
    attacks = [{"name": "fgsm"}]
    plain = run(data, tmp_path / "plain", attacks=attacks, eps=["8/255"])
    more = run(data, tmp_path / "more", attacks=attacks, eps=["8/255"], perturbations=["dimmed", "grain"])
    assert "natural" not in plain
    for cell in plain["cells"] + more["cells"]:
        cell.pop("seconds")
    assert {k: more[k] for k in plain if k != "plan"} == {k: v for k, v in plain.items() if k != "plan"}
    first, second = dict(content(tmp_path / "plain")), dict(content(tmp_path / "more"))
    shared = [name for name in first if name.startswith(("cells", "pictures", "tables"))]
    assert shared
    assert {name: second[name] for name in shared} == {name: first[name] for name in shared}
    assert b"natural" not in first["run.json"] + first["plan.json"] + first["cells/fgsm-linf-8-all/cell.json"]


def test_batches_and_order_do_not_matter(data, tmp_path):
    run(data, tmp_path / "one", perturbations=["grain"], batch_size=7)
    run(data, tmp_path / "two", perturbations=["grain"], batch_size=60)

    def decided(name):
        cells = Store(tmp_path / name).natural("perturbation")
        return {(cell.severity, r["id"]): r["saved_decision"] for cell, records in cells for r in records.to_pylist()}

    rows = [decided("one"), decided("two")]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 300


def test_a_run_that_was_stopped_goes_on(data, tmp_path, monkeypatch):
    run(data, tmp_path / "whole", perturbations=["dimmed"])
    written, keep = [], stores.Store.add_part

    def dying(self, cell, n, records, seconds):
        if len(written) == 9:
            raise KeyboardInterrupt
        written.append((cell.key, n))
        keep(self, cell, n, records, seconds)

    monkeypatch.setattr(stores.Store, "add_part", dying)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "stopped", perturbations=["dimmed"])
    assert written[-1][0].startswith("perturbation@")
    again = []
    monkeypatch.setattr(stores.Store, "add_part", lambda self, cell, n, *rest: (again.append((cell.key, n)), keep(self, cell, n, *rest)))
    run(data, tmp_path / "stopped", perturbations=["dimmed"])
    assert again
    assert not set(again) & set(written)
    assert dict(content(tmp_path / "whole")) == dict(content(tmp_path / "stopped"))


def test_a_part_of_the_images_is_compared_with_the_same_images(data, tmp_path):
    own = run(data, tmp_path / "run", perturbations=[{"name": "dimmed", "images": 20}])["natural"]["perturbations"][0]
    assert own["images"] == 20
    assert own["patients"] == 10
    rows = next(iter(Store(tmp_path / "run").natural("perturbation")))[1].to_pylist()
    right = np.mean([row["clean_decision"][0] == row["label"][0] for row in rows])
    first = own["severities"][0]
    assert first["metrics"]["accuracy"]["value"] - first["change"]["accuracy"]["value"] == pytest.approx(right)


def test_another_choice_is_another_run(data, tmp_path):
    run(data, tmp_path / "run", perturbations=["dimmed"])
    with pytest.raises(RunError, match="perturbations was"):
        run(data, tmp_path / "run", perturbations=[{"name": "dimmed", "tenth": 0.2}])


def test_groups_stand_for_what_is_believable():
    assert [s.label for s in plan(perturbations=["corruptions", "artefacts"]).shown()] == ["dimmed", "kept"]
    assert [s.label for s in plan(perturbations="artefacts", modality="x-ray").shown()] == ["grain"]
    assert [s.label for s in plan(perturbations="grain").shown()] == ["grain"]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ({"perturbations": ["dimned"]}, "no perturbation named 'dimned': did you mean dimmed?"),
        ({"perturbations": [{"name": "dimmed", "severities": [0]}]}, "severity goes from 1 (hardly seen) to 5 (hardly readable), got 0"),
        ({"perturbations": [{"name": "dimmed", "severities": 6}]}, "got 6"),
        ({"perturbations": [{"name": "dimmed", "severities": [2, 2]}]}, "different severities"),
        ({"perturbations": [{"name": "dimmed", "severities": []}]}, "different severities"),
        ({"perturbations": [{"name": "dimmed", "images": 0}]}, "images must be a whole number of at least 1, got 0"),
        ({"perturbations": ["dimmed", "dimmed"]}, "two perturbations are called dimmed"),
        ({"perturbations": [{"name": "dimmed", "label": ""}]}, "empty label"),
        ({"perturbations": ["grain"], "modality": "dermoscopy"}, "grain happens to x-ray, the images are dermoscopy"),
        ({"modality": "photo"}, "expected one of dermoscopy, x-ray"),
    ],
)
def test_what_cannot_be_is_refused_in_words(words, refusal):
    with pytest.raises(PlanError, match=re.escape(refusal)):
        plan(**words)


def test_what_does_not_fit_the_images_is_refused_before_a_folder_is_made(data, tmp_path, monkeypatch):
    def refuse(self, x, severity, draws):
        raise PlanError(f"a kernel of 9 pixels does not fit images of {x.shape[-1]}")

    monkeypatch.setattr(Dimmed, "__call__", refuse)
    with pytest.raises(PlanError, match="a kernel of 9 pixels does not fit images of 8"):
        ready(data, perturbations=["dimmed"])


def test_the_table_holds_every_number(data, tmp_path):
    found = run(data, tmp_path / "run", perturbations=[{"name": "dimmed", "severities": [1, 4]}])["natural"]
    with (tmp_path / "run" / "tables" / "natural.csv").open() as file:
        rows = {(r["what"], r["label"], r["severity"], r["metric"]): r for r in csv.DictReader(file)}
    own = found["perturbations"][0]["severities"][1]
    row = rows["perturbation", "dimmed", "4", "accuracy"]
    assert float(row["value"]) == pytest.approx(own["metrics"]["accuracy"]["value"], abs=1e-6)
    assert float(row["change_low"]) == pytest.approx(own["change"]["accuracy"]["low"], abs=1e-6)
    assert rows["clean", "", "", "accuracy"]["change"] == ""
    assert rows["perturbation", "mean", "mean", "accuracy"]["images"] == "60"
