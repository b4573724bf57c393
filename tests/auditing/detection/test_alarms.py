"""Detectors put to the test on the built-in network: what the unaware attacker is caught at, the aware one is not."""

import json

import pytest

from robustdx import api
from robustdx.auditing.detection.alarms import assemble_alarms, prepare_alarms
from robustdx.auditing.plan import AuditPlan
from robustdx.cli.demo import HOME
from robustdx.data import load_dataset
from robustdx.errors import DataError, PlanError
from robustdx.models import ModelSpec, load
from robustdx.store import Store

EPS = 8 / 255
DETECTORS = [{"name": "reconstruction-error"}, {"name": "mahalanobis"}]
"""Not in the order of their names: records keep the order of the plan."""


def plan(**changes):
    words = {"data": "synthetic,images=160", "eps": (EPS,), "images": 10, "bootstrap": 200, "precision": "float32"}
    words |= {"attacks": ({"name": "pgd", "steps": 6},)}
    return AuditPlan(model=ModelSpec(source=str(HOME)), **{**words, **changes})


def ready(**changes):
    return prepare_alarms(plan(**changes), DETECTORS, learn=60)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "alarms"
    return out, api.detect(ready(), out, command="robustdx detect")


def rows(results, detector):
    found = {row["attacker"]: row for row in results["rows"] if row["detector"] == detector}
    return found["unaware"], found["aware"]


def test_who_knows_the_detector_is_caught_less(run):
    _, results = run
    for detector in ("reconstruction-error", "mahalanobis"):
        unaware, aware = rows(results, detector)
        assert aware["metrics"]["broken_unnoticed"]["value"] >= unaware["metrics"]["broken_unnoticed"]["value"]
        assert sum(aware["ways"].values()) > 0
    unaware, aware = rows(results, "reconstruction-error")
    assert unaware["metrics"]["detected"]["value"] > aware["metrics"]["detected"]["value"]
    assert unaware["metrics"]["auroc"]["value"] > aware["metrics"]["auroc"]["value"]


def test_thresholds_are_those_of_the_validation_images(run):
    out, results = run
    scores = Store(out).records(next(c for c, _ in Store(out).cells() if c.split == "val"))["scores"].to_pylist()
    for n, detector in enumerate(results["detectors"]):
        assert detector["label"] == DETECTORS[n]["name"]
        assert sum(s[n] > detector["threshold"] for s in scores) <= 0.05 * len(scores)
        assert detector["threshold"] in [s[n] for s in scores]


def test_what_is_saved_is_inside_the_budget_and_on_the_grid(run):
    for cell, records in Store(run[0]).cells():
        distances = [255 * d for d in records["distance"].to_pylist()]
        assert max(distances) <= 255 * cell.eps + 1e-3
        assert all(abs(d - round(d)) < 1e-3 for d in distances)


def test_a_run_goes_on_where_it_stopped_and_gives_the_same(run, tmp_path, monkeypatch):
    out, results = run
    made = Store.finish

    def stop_at_the_third(store, cell, parts):
        if len(list(store.cells())) == 3:
            raise KeyboardInterrupt
        made(store, cell, parts)

    monkeypatch.setattr(Store, "finish", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        api.detect(ready(), tmp_path / "again", command="robustdx detect")
    learned = {p: p.stat().st_mtime_ns for p in (tmp_path / "again" / "detectors").iterdir()}
    monkeypatch.setattr(Store, "finish", made)
    assert api.detect(ready(), tmp_path / "again", command="robustdx detect") == results
    assert {p: p.stat().st_mtime_ns for p in learned} == learned, "nothing is learned twice"
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert api.detect(ready(), out, command="robustdx detect") == results
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before, "a finished run is not run again"


def test_the_page_and_the_table_say_what_the_results_say(run):
    out, results = run
    page, table = (out / "report.html").read_text(), (out / "tables" / "alarms.csv").read_text()
    assert "knows the detector" in page
    assert "<script" not in page
    for row in results["rows"]:
        for name, found in row["metrics"].items():
            line = next(t for t in table.splitlines() if f"{row['detector']},pgd,linf,8,{row['attacker']},{name}," in t)
            assert float(line.split(",")[6]) == pytest.approx(found["value"], rel=1e-5)
    assert json.loads((out / "results.json").read_text()) == results


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"eps": (0.5 / 255,)}, "nothing smaller survives being saved"),
        ({"split": "val"}, "have not seen, got split val: take test"),
        ({"split": "all"}, "have not seen, got split all: take test"),
        ({"goal": {"name": "class", "wanted": "nevus"}}, "leave them out"),
        ({"attacks": ({"name": "pgd"}, {"name": "pgd", "label": "pgd knowing mahalanobis"})}, "give it another label"),
    ],
)
def test_what_has_no_meaning_here_is_refused(changes, words):
    with pytest.raises(PlanError, match=words):
        ready(**changes)


def test_without_validation_images_there_is_no_threshold():
    data = load_dataset("synthetic,images=60")
    model = load(ModelSpec(source=str(HOME)), data.kind, data.classes)
    for missing, words in (("val", "alarm threshold is fixed on clean validation images"), ("train", "detectors learn clean images")):
        some = type(data)(data.name, data.classes, data.kind, [e for e in data.examples if e.split != missing], data.read)
        if missing == "val":  # without a train split either, none is dealt
            some = type(data)(data.name, data.classes, data.kind, [e for e in data.examples if e.split == "test"], data.read)
        with pytest.raises(DataError, match=words):
            assemble_alarms(plan(), DETECTORS, model, some)


def test_two_of_one_kind_need_labels():
    twice = [{"name": "lid"}, {"name": "lid", "neighbours": 5}]
    with pytest.raises(PlanError, match="two detectors are called lid"):
        prepare_alarms(plan(), twice)
    assert list(prepare_alarms(plan(), [twice[0], {**twice[1], "label": "near"}]).detectors) == ["lid", "near"]
    assert len(prepare_alarms(plan(), []).detectors) == 4, "all there are where none is named"
