"""The worst case in an audit: at least as bad as the average, with the parameters that did it, in records of an attack's columns."""

from __future__ import annotations

import re

import numpy as np
import pytest
from dark_or_bright import content, plan, run

from robustdx.errors import PlanError
from robustdx.store import Store

LIGHT = {"rotation": 0, "shift": 0, "scale": 0, "hue": 0, "blur": 0, "contrast": 0, "brightness": 0.1}
ASKED = {"box": LIGHT, "sampled": 30}
"""Only brighter or darker by up to a tenth: the worst is known, since the model looks at the mean."""


@pytest.fixture
def found(data, tmp_path):
    return run(data, tmp_path / "run", worst_case=ASKED)["natural"]["worst_case"]


def rows_of(folder):
    ((_, records),) = Store(folder).natural("worst case")
    return records.to_pylist()


def test_the_worst_is_what_a_tenth_of_brightness_can_do(data, found, tmp_path):
    rows = rows_of(tmp_path / "run")
    clean = {row["id"]: row for row in rows}
    level = {e.id: data.read(e, None, 3).mean() / 255 for e in data.examples}
    truth = {e.id: e.label for e in data.examples}
    stands = [(level[i] + (0.1 if truth[i] == 0 else -0.1) > 0.5) == bool(truth[i]) for i in clean]
    assert 0 < np.mean(stands) < 1
    assert found["worst"]["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(stands), abs=1 / 60)
    assert found["worst"]["metrics"]["accuracy"]["value"] < found["average"]["metrics"]["accuracy"]["value"]
    assert found["average"]["metrics"]["accuracy"]["value"] <= found["clean"]["accuracy"]["value"] + 0.02
    assert found["worst"]["change"]["accuracy"]["high"] < 0


def test_the_average_is_over_random_points(found, tmp_path):
    errors = np.array([row["sampled_errors"] for row in rows_of(tmp_path / "run")])
    assert errors.shape == (60, 30)
    assert found["average"]["metrics"]["accuracy"]["value"] == pytest.approx(1 - errors.mean())


def test_the_parameters_that_did_it_are_told(found, tmp_path):
    (only,) = found["parameters"]
    assert (only["name"], only["width"]) == ("brightness", 0.1)
    broken = [
        dict(row["parameters"])["brightness"]
        for row in rows_of(tmp_path / "run")
        if row["clean_decision"] == row["label"] and row["saved_decision"] != row["label"]
    ]
    assert len(broken) == found["broken"]["images"] > 0
    assert only["used"] == pytest.approx(np.abs(broken).mean() / 0.1)
    assert all(row["forwards"] > 30 for row in rows_of(tmp_path / "run"))
    assert (tmp_path / "run" / "pictures" / "worst-case@handling-all" / "00-saved.png").is_file()


def test_batches_do_not_matter(data, tmp_path):
    run(data, tmp_path / "one", worst_case=ASKED, batch_size=16)
    run(data, tmp_path / "two", worst_case=ASKED, batch_size=16)
    run(data, tmp_path / "three", worst_case=ASKED, batch_size=60)
    assert dict(content(tmp_path / "one")) == dict(content(tmp_path / "two"))
    decided = [{row["id"]: row["saved_decision"] for row in rows_of(tmp_path / name)} for name in ("one", "three")]
    assert decided[0] == decided[1]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ({"grid": 3}, "worst_case: there is no key named 'grid'"),
        ({"box": {"rotation": 300}}, "rotation is half the width of a box"),
        ({"sampled": 0}, "sampled must be a whole number of at least 1, got 0"),
    ],
)
def test_what_cannot_be_is_refused_in_words(words, refusal):
    with pytest.raises(PlanError, match=re.escape(refusal)):
        plan(worst_case=words)
