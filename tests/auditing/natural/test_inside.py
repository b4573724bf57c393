"""Analyses in an audit: the same images under the same attacks for all of them, kept by batch, concluded once, refused in words."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from dark_or_bright import plan, run
from torch import nn

from robustdx import store as stores
from robustdx.analyses import Seen
from robustdx.analyses.cka import linear_cka
from robustdx.auditing.natural.looked import packed, unpacked
from robustdx.errors import PlanError
from robustdx.store import Store

ASKED = {"attacks": [{"name": "pgd", "steps": 3}], "eps": ["8/255", "32/255"], "escalation": False, "analyses": ["cka", "separability"]}


def network():
    import torch

    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU())
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)).eval()


def test_numbers_are_those_of_the_analysis_on_what_was_kept(data, tmp_path):
    found = run(data, tmp_path / "run", network(), **ASKED)["natural"]["analyses"]
    assert (found["views"], found["images"]) == (["clean", "pgd"], 60)
    assert found["eps"] == pytest.approx(8 / 255)
    ((_, records),) = Store(tmp_path / "run").natural("analysis")
    seen = Seen.joined([unpacked(row["seen"]) for row in records.to_pylist() if row["analysis"] == "cka"])
    assert len(seen.ids) == 60
    cka = next(a for a in found["analyses"] if a["label"] == "cka")
    assert cka["numbers"]
    for number in cka["numbers"]:
        if number["measure"] == "cka" and number["value"] is not None:
            own = linear_cka(seen.rows["clean"][number["where"]], seen.rows["pgd"][number["where"]])
            assert number["value"] == pytest.approx(own)
    separability = next(a for a in found["analyses"] if a["label"] == "separability")
    assert {n["measure"] for n in separability["numbers"]} >= {"fisher", "silhouette", "probe"}
    with np.load(tmp_path / "run" / "analyses" / "separability.npz") as arrays:
        assert any(name.startswith("pgd/points") for name in arrays.files)


def test_a_stopped_run_goes_on_and_ends_the_same(data, tmp_path, monkeypatch):
    run(data, tmp_path / "whole", network(), **ASKED)
    count, keep = [], stores.Store.add_part

    def dying(self, *args):
        count.append(args[0].key)
        if sum(key.startswith("analysis@") for key in count) == 3:
            raise KeyboardInterrupt
        keep(self, *args)

    monkeypatch.setattr(stores.Store, "add_part", dying)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "stopped", network(), **ASKED)
    monkeypatch.setattr(stores.Store, "add_part", keep)
    run(data, tmp_path / "stopped", network(), **ASKED)
    first, second = (json.loads((tmp_path / name / "analyses.json").read_text()) for name in ("whole", "stopped"))
    assert first == second


def test_what_cannot_be_said_is_told_and_nothing_is_lost(data, tmp_path):
    one_class = [e for e in data.examples if e.label == 0]
    from dataclasses import replace

    found = run(replace(data, examples=one_class), tmp_path / "run", network(), **{**ASKED, "analyses": ["separability", "cka"]})
    separability, cka = found["natural"]["analyses"]["analyses"]
    assert separability["numbers"] == []
    assert "class" in separability["refused"]
    assert cka["numbers"]


def test_without_attacks_pgd_is_looked_at():
    assert list(plan(analyses=["cka"]).inside().attacks) == ["pgd"]
    looked = plan(attacks=[{"name": "fgsm"}, {"name": "square"}, {"name": "pgd"}], analyses=[{"name": "cka", "images": 30}]).inside()
    assert list(looked.attacks) == ["fgsm", "pgd"]
    assert looked.images == 30
    assert not looked.attacks["pgd"].early_stop


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["ckaa"], "there is no analysis named 'ckaa': did you mean cka?"),
        (["cka", "cka"], "two analyses are called cka"),
        ([{"name": "cka", "images": 0}], "images must be a whole number of at least 1"),
        ([{"name": "cka", "grid": -1}], "grid must be 0"),
    ],
)
def test_what_cannot_be_is_refused_in_words(words, refusal):
    with pytest.raises(PlanError, match=re.escape(refusal)):
        plan(analyses=words)


def test_a_layer_that_does_not_exist_is_refused_before_a_folder_is_made(data, tmp_path):
    with pytest.raises(PlanError, match="nothere"):
        run(data, tmp_path / "run", network(), **{**ASKED, "analyses": [{"name": "cka", "layers": ["nothere"]}]})
    assert not (tmp_path / "run").exists()


def test_what_was_seen_is_the_same_after_it_was_kept():
    rows = {"clean": {"a": np.arange(6.0).reshape(2, 3)}, "pgd": {"a": np.ones((2, 3)), "b": np.zeros(2)}}
    seen = Seen(("x", "y"), ("no", "yes"), np.array([[0.0], [1.0]]), findings=False, rows=rows, patients=("p", "q"), lacking={"m": "why"})
    again = unpacked(packed(seen))
    assert (again.ids, again.classes, again.patients, again.lacking, again.views) == (
        seen.ids,
        seen.classes,
        seen.patients,
        seen.lacking,
        seen.views,
    )
    assert all((again.rows[view][of] == array).all() for view, own in rows.items() for of, array in own.items())
