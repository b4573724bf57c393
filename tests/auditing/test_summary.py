"""results.json out of a run that was written by hand: every number is known beforehand."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from robustdx.auditing.summary import summarise, write_results
from robustdx.errors import RunError
from robustdx.metrics import clopper_pearson
from robustdx.records import Cell, table
from robustdx.store import Store

EPS = 2 / 255
CLASSES = ["no", "yes"]


def cell(attack, eps=EPS, split="test", **changes):
    clean = attack == "clean"
    words = {"threat": "" if clean else "linf", "eps": 0.0 if clean else eps, "settings": {} if clean else {"name": attack}}
    return Cell(**({"attack": attack, "split": split, "early_stop": False, "verdict": "saved", **words} | changes))


def binary_rows(labels, clean, searched=None, saved=None, patients=None):
    """Scores of the positive class; the decision is at 0.5."""
    forms = {"clean": clean, "searched": clean if searched is None else searched, "saved": clean if saved is None else saved}
    return [
        {
            "id": f"image {i}",
            "patient": None if patients is None else f"patient {patients[i]}",
            "label": [label],
            **{f"{form}_scores": [1 - s[i], s[i]] for form, s in forms.items()},
            **{f"{form}_decision": [int(s[i] > 0.5)] for form, s in forms.items()},
            "searched_distance": 0.0,
            "saved_distance": 0.0,
            "forwards": 2,
            "backwards": 1,
        }
        for i, label in enumerate(labels)
    ]


def started(path, kind="binary", classes=CLASSES, bootstrap=200):
    run = {
        "robustdx": "0.1.0",
        "model": {"name": "m"},
        "data": {"kind": kind, "classes": list(classes)},
        "plan": {"seed": 0},
        "bootstrap": bootstrap,
    }
    store = Store.open(path / "run", {"plan": 1})
    store.write_text("run.json", json.dumps(run))
    return store


def keep(store, which, rows, seconds=1.5):
    store.add_part(which, 0, table(rows), seconds)
    store.finish(which, 1)


LABELS = [0, 0, 0, 1, 1, 1]
CLEAN = [0.1, 0.2, 0.7, 0.4, 0.8, 0.9]
FGSM = [0.1, 0.6, 0.8, 0.3, 0.7, 0.8]
PGD = [0.2, 0.3, 0.9, 0.2, 0.4, 0.6]
PATIENTS = [0, 0, 1, 1, 2, 2]


@pytest.fixture
def store(tmp_path):
    store = started(tmp_path)
    keep(store, cell("clean"), binary_rows(LABELS, CLEAN, patients=PATIENTS))
    keep(store, cell("clean", split="val"), binary_rows([0, 0, 1, 1], [0.1, 0.35, 0.4, 0.9], patients=[7, 8, 9, 9]))
    keep(store, cell("fgsm"), binary_rows(LABELS, CLEAN, FGSM, FGSM, PATIENTS))
    keep(store, cell("pgd"), binary_rows(LABELS, CLEAN, FGSM, PGD, PATIENTS)[::-1])
    return store


def found(results, attack, split="test"):
    return next(c for c in results["cells"] if c["attack"] == attack and c["split"] == split)


def value(cell, name):
    return cell["metrics"][name]["value"]


def test_the_numbers_of_each_attack_are_about_the_saved_images(store):
    pgd = found(summarise(store), "pgd")
    assert value(pgd, "accuracy") == pytest.approx(3 / 6)
    assert value(pgd, "auroc_macro") == pytest.approx(sk.roc_auc_score(LABELS, PGD))
    assert value(pgd, "average_precision") == pytest.approx(sk.average_precision_score(LABELS, PGD))
    assert value(pgd, "fooling_rate") == pytest.approx(1 / 6)
    assert value(pgd, "broken") == pytest.approx(1 / 4)
    assert pgd["searched"]["accuracy"]["value"] == pytest.approx(3 / 6)


def test_the_worst_case_counts_an_image_only_where_every_attack_failed(store):
    worst = found(summarise(store), "worst")
    # Images 2 and 3 were wrong before; FGSM breaks image 1, PGD image 4: images 0 and 5 stand.
    assert value(worst, "accuracy") == pytest.approx(2 / 6)
    assert value(worst, "broken") == pytest.approx(2 / 4)
    assert value(worst, "fooling_rate") == pytest.approx(2 / 6)
    assert (worst["passes"], worst["forwards"], worst["backwards"], worst["seconds"]) == (36, 24, 12, 3.0)


def test_there_is_no_ranking_of_a_worst_case(store):
    worst = found(summarise(store), "worst")
    assert "auroc_macro" not in worst["metrics"]
    assert "no score" in worst["omitted"]["auroc_macro"]
    assert "no score" in worst["omitted"]["sensitivity"]


def test_the_operating_point_is_fixed_on_clean_validation_images(store):
    results = summarise(store)
    assert results["operating_point"] == {"threshold": pytest.approx(0.4), "from": "val", "images": 4}
    assert value(found(results, "clean"), "sensitivity") == pytest.approx(1)
    assert value(found(results, "pgd"), "sensitivity") == pytest.approx(2 / 3)
    assert value(found(results, "pgd"), "specificity") == pytest.approx(2 / 3)


def test_without_validation_the_threshold_is_a_half_and_that_is_said(tmp_path):
    store = started(tmp_path)
    keep(store, cell("clean"), binary_rows(LABELS, CLEAN))
    assert summarise(store)["operating_point"] == {"threshold": 0.5, "from": "default 0.5", "images": 0}


def test_validation_images_that_are_audited_themselves_fix_nothing(tmp_path):
    store = started(tmp_path)
    keep(store, cell("clean", split="val"), binary_rows(LABELS, CLEAN))
    assert summarise(store)["operating_point"]["from"] == "default 0.5"


def test_images_patients_passes_and_seconds(store):
    results = summarise(store)
    assert {
        k: found(results, "pgd")[k] for k in ("images", "patients", "passes", "forwards", "backwards", "seconds", "verdict", "key")
    } == {
        "images": 6,
        "patients": 3,
        "passes": 18,
        "forwards": 12,
        "backwards": 6,
        "seconds": 1.5,
        "verdict": "saved",
        "key": "pgd-linf-2-test",
    }
    assert results["intervals"] == {"level": 0.95, "resamples": 200, "seed": 0, "over": "patients"}


def test_images_without_patients_are_drawn_themselves(tmp_path):
    store = started(tmp_path)
    keep(store, cell("clean"), binary_rows([0, 1] * 50, [0.1, 0.9] * 50))
    results = summarise(store)
    assert found(results, "clean")["patients"] is None
    assert results["intervals"]["over"] == "images"
    accuracy = found(results, "clean")["metrics"]["accuracy"]
    assert (accuracy["value"], accuracy["low"], accuracy["high"]) == pytest.approx((1, *clopper_pearson(100, 100)))


def test_clean_comes_first_worst_last_and_validation_at_the_end(store):
    assert [(c["attack"], c["split"]) for c in summarise(store)["cells"]] == [
        ("clean", "test"),
        ("fgsm", "test"),
        ("pgd", "test"),
        ("worst", "test"),
        ("clean", "val"),
    ]


def test_every_cell_is_judged_on_the_same_drawn_patients_whatever_the_order_of_its_records(tmp_path):
    rng = np.random.default_rng(0)
    y, s, p = rng.integers(0, 2, 60), rng.random(60).round(2), rng.integers(0, 30, 60)
    store, rows = started(tmp_path), binary_rows(y.tolist(), s.tolist(), patients=p.tolist())
    keep(store, cell("clean"), rows)
    keep(store, cell("pgd"), [rows[i] for i in rng.permutation(60)])
    results = summarise(store)
    clean, pgd = found(results, "clean")["metrics"], found(results, "pgd")["metrics"]
    assert clean == {name: pytest.approx(e) for name, e in pgd.items() if name in clean}


def test_below_one_step_of_the_grid_the_searched_images_are_judged(tmp_path):
    store = started(tmp_path)
    keep(store, cell("clean"), binary_rows(LABELS, CLEAN))
    keep(store, cell("pgd", eps=0.5 / 255, verdict="searched"), binary_rows(LABELS, CLEAN, PGD, CLEAN))
    pgd = found(summarise(store), "pgd")
    assert value(pgd, "accuracy") == pytest.approx(3 / 6)
    assert pgd["saved"]["accuracy"]["value"] == pytest.approx(4 / 6)


def test_after_an_early_stop_nothing_is_ranked_and_the_reason_is_given(tmp_path):
    store = started(tmp_path)
    keep(store, cell("clean"), binary_rows(LABELS, CLEAN))
    keep(store, cell("pgd", early_stop=True), binary_rows(LABELS, CLEAN, PGD, PGD))
    pgd = found(summarise(store), "pgd")
    for name in ("auroc_macro", "auroc_micro", "average_precision", "sensitivity", "specificity"):
        assert name not in pgd["metrics"]
        assert "first success" in pgd["omitted"][name]
    assert "precision" in pgd["metrics"]


def findings_store(tmp_path):
    nan = float("nan")
    store = started(tmp_path, "multilabel", ["a", "b", "c"])
    labels = [[1, 0, nan], [0, 1, nan], [1, 1, nan], [0, nan, nan]]
    before = [[0.9, 0.2, 0.5], [0.1, 0.7, 0.6], [0.8, 0.4, 0.1], [0.3, 0.9, 0.2]]
    first = [[0.4, 0.2, 0.5], [0.1, 0.3, 0.6], [0.8, 0.4, 0.1], [0.3, 0.9, 0.2]]
    second = [[0.9, 0.6, 0.5], [0.1, 0.2, 0.6], [0.3, 0.8, 0.1], [0.3, 0.9, 0.2]]
    for which, after in {"clean": before, "bim": first, "pgd": second}.items():
        keep(store, cell(which), [finding_row(i, *answer) for i, answer in enumerate(zip(labels, before, after, strict=True))])
    return store


def finding_row(i, label, before, after):
    scores = {"clean": before, "searched": after, "saved": after}
    decided = {f"{form}_decision": [int(v > 0.5) for v in s] for form, s in scores.items()}
    return binary_rows([0], [0.5])[0] | {"id": str(i), "label": label} | {f"{f}_scores": s for f, s in scores.items()} | decided


def test_findings_are_judged_one_by_one_and_unannotated_ones_nowhere(tmp_path):
    results = summarise(findings_store(tmp_path))
    clean, worst = found(results, "clean"), found(results, "worst")
    assert value(clean, "accuracy") == pytest.approx(6 / 7)
    assert value(clean, "exact_match") == pytest.approx(3 / 4)
    # Of the seven: a stands on images 1 and 3 only; b on none (image 2 was wrong before).
    assert value(worst, "accuracy") == pytest.approx(2 / 7)
    assert value(worst, "broken") == pytest.approx(4 / 6)
    assert clean["omitted"]["auroc:c"] == "no image of c"
    assert clean["omitted"]["accuracy:c"] == "c is annotated nowhere"


def test_every_metric_is_either_there_or_named_with_a_reason(tmp_path):
    results = summarise(findings_store(tmp_path))
    names = [{*c["metrics"], *c["omitted"]} for c in results["cells"]]
    whole = {"accuracy", "exact_match", "balanced_accuracy", "auroc_macro", "auroc_micro", "average_precision", "precision", "recall", "f1"}
    each = {f"{n}:{c}" for n in ("accuracy", "balanced_accuracy", "precision", "recall", "f1") for c in "abc"}
    each |= {f"{n}:{c}" for n in ("auroc", "average_precision", "sensitivity", "specificity") for c in "abc"}
    assert names[0] == whole | each | {"sensitivity", "specificity"}
    assert all(n == names[0] | {"fooling_rate", "broken"} for n in names[1:])
    assert not any({*c["metrics"]} & {*c["omitted"]} for c in results["cells"])


def test_results_are_written_whole_and_without_nan(tmp_path):
    store = findings_store(tmp_path)
    write_results(store, resamples=100)
    text = (store.path / "results.json").read_text()
    assert "NaN" not in text
    assert json.loads(text) == json.loads(json.dumps(summarise(store, resamples=100)))
    assert json.loads(text)["schema"] == 1


def test_a_run_without_its_beginning_or_without_cells_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"run\.json.*give the folder of an audit"):
        summarise(Store.open(tmp_path / "empty", {}))
    with pytest.raises(RunError, match="at least one whole cell"):
        summarise(started(tmp_path))


def test_flags_are_about_the_audited_images_and_not_about_validation(store):
    assert {flag["cell"].rsplit("-")[-1] for flag in summarise(store)["flags"]} == {"test"}


def test_every_key_and_metric_is_documented(store, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "results.md").read_text()
    (tmp_path / "findings").mkdir()
    for results in (summarise(store), summarise(findings_store(tmp_path / "findings"))):
        nested = (*results["cells"], results["intervals"], results["operating_point"], *results["flags"])
        for name in {*results, *(key for part in nested for key in part)}:
            assert f"`{name}`" in page
        for name in {m.split(":")[0] + ":NAME" * (":" in m) for c in results["cells"] for m in (*c["metrics"], *c["omitted"])}:
            assert f"`{name}`" in page
