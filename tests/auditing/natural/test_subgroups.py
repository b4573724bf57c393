"""Numbers by a column of the data: those of the group's own images, cut where they are many, refused where there is no column."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dark_or_bright import pixels, ready, run

from robustdx.auditing.natural.groups import subgroups
from robustdx.errors import PlanError
from robustdx.report.natural.subgroups import subgroups as shown

TRUTH = np.arange(60) // 2 % 2


def test_numbers_are_those_of_the_groups_own_images(data, tmp_path):
    asked = {"perturbations": [{"name": "dimmed", "severities": [1, 2]}], "sequences": [{"name": "dusk", "count": 4}]}
    found = run(data, tmp_path / "run", subgroups=["sex"], **asked)["natural"]
    (column,) = found["subgroups"]
    assert column["column"] == "sex"
    assert [g["group"] for g in column["groups"]] == ["female", "male"]
    sex = TRUTH  # in these data the images of men are the bright ones
    for k, group in enumerate(column["groups"]):
        own = sex == k
        clean = pixels().reshape(60, -1).mean(1) / 255 > 0.5
        dimmed = [np.round((pixels() / 255 - 0.1 * s).clip(0, 1) * 255).reshape(60, -1).mean(1) / 255 > 0.5 for s in (1, 2)]
        assert (group["images"], group["patients"], group["few"]) == (30, 15, True)
        assert group["clean"]["accuracy"]["value"] == pytest.approx((clean == TRUTH)[own].mean())
        expected = np.mean([(d == TRUTH)[own].mean() for d in dimmed])
        assert group["perturbed"]["metrics"]["accuracy"]["value"] == pytest.approx(expected)
        assert group["perturbed"]["change"]["accuracy"]["value"] == pytest.approx(expected - (clean == TRUTH)[own].mean())
        assert 0 <= group["flips"]["flip_probability"]["value"] <= 1
    table = shown(found)[0]
    assert [row.name for row in table.rows] == ["female", "male"]
    assert "By group" in (tmp_path / "run" / "report.html").read_text()
    assert "sex: female,perturbed,,accuracy," in (tmp_path / "run" / "tables" / "natural.csv").read_text()


def test_age_is_cut_into_decades_and_what_is_not_known_stands_last(data):
    some = replace(data, examples=[replace(e, attributes={"age": "" if n < 5 else str(15 + n)}) for n, e in enumerate(data.examples)])
    found = subgroups(some, ["age"])["age"]
    assert found["order"] == ["20 to 29", "30 to 39", "40 to 49", "50 to 59", "60 to 69", "70 to 79", "unknown"]
    assert found["of"][some.examples[5].id] == "20 to 29"
    assert found["of"][some.examples[15].id] == "30 to 39"


def test_other_numbers_are_cut_into_quarters_and_a_few_are_left(data):
    many = replace(data, examples=[replace(e, attributes={"dose": str(n), "reader": str(n % 3)}) for n, e in enumerate(data.examples)])
    found = subgroups(many, ["dose", "reader"])
    sizes = [list(found["dose"]["of"].values()).count(name) for name in found["dose"]["order"]]
    assert sizes == [15, 15, 15, 15]
    assert found["reader"]["order"] == ["0", "1", "2"]


def test_a_column_that_is_not_there_is_refused_with_those_that_are(data):
    with pytest.raises(PlanError, match=r"no column of the data named 'sexx': did you mean sex.; columns there are: age, sex"):
        ready(data, subgroups=["sexx"])


def test_subgroups_alone_tell_the_images_as_they_came(data, tmp_path):
    found = run(data, tmp_path / "run", subgroups=["sex"])["natural"]["subgroups"][0]["groups"]
    assert "perturbed" not in found[0]
    assert found[0]["clean"]["accuracy"]["value"] > 0.5
