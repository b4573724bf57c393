"""Before and after hardening: the numbers are those of a comparison by hand, and the page and the table show them."""

import csv
import json
import re

import numpy as np
import pytest
from fabricated import LUNG, SKIN, make_run

from robustdx.metrics import Resamples, accuracy_metrics
from robustdx.metrics.answers import answers
from robustdx.metrics.paired import permutation_test
from robustdx.report.before import BEFORE, Change, comparison, p_text, per_image
from robustdx.report.findings import Estimate, read
from robustdx.report.page import write_report

FIRST = "the network that training started from, runs/plain"


def told(folder, about):
    run = json.loads((folder / "run.json").read_text()) | {"before": about}
    (folder / "run.json").write_text(json.dumps(run))
    return folder


@pytest.fixture(scope="module")
def hardened(tmp_path_factory):
    """An audit of a network that holds ten times as much as the first one, whose audit lies inside."""
    small = {"images": 160, "budgets": {"linf": (1 / 255, 4 / 255)}}
    folder = make_run(tmp_path_factory.mktemp("runs") / "audit-test", holds=3.5 / 255, accuracy=0.7, **small)
    make_run(folder / BEFORE, **small)
    return told(folder, FIRST)


def by_image(folder, attack, eps):
    rows = [r for r in csv.DictReader((folder / "tables" / "images.csv").open()) if r["split"] == "test"]
    own = [r for r in rows if r["attack"] == attack and r["eps_255"] == eps]
    return {r["id"]: r["saved"] == r["label"] for r in own}, {r["id"]: r["patient"] for r in own}


def test_a_difference_is_that_of_the_same_images(hardened):
    write_report(hardened)
    write_report(hardened / BEFORE)
    found = comparison(hardened, read(hardened))
    change = next(c for c in found.changes if c.metric == "accuracy" and c.budget == "L∞ 4/255")
    (after, patients), (before, _) = by_image(hardened, "pgd", "4"), by_image(hardened / BEFORE, "pgd", "4")
    pair = [np.array([right[i] for i in before], dtype=float) for right in (before, after)]
    assert (change.before, change.after) == (pytest.approx(pair[0].mean()), pytest.approx(pair[1].mean()))
    assert change.difference.value == pytest.approx(pair[1].mean() - pair[0].mean())
    assert change.difference.low < change.difference.value < change.difference.high
    assert change.p >= permutation_test(pair[1], pair[0], [patients[i] for i in before]).p
    assert change.surely


def test_p_values_are_corrected_for_all_that_is_shown(hardened):
    changes = comparison(hardened, read(hardened)).changes
    assert len(changes) == 2 * 3
    clean = next(c for c in changes if c.eps == 0 and c.metric == "accuracy")
    assert clean.difference.value < 0  # it costs accuracy on the images as they came
    assert max(c.p for c in changes) <= 1


def test_page_and_table_show_it(hardened):
    page = write_report(hardened).read_text()
    section = re.search(r'<section id="before">.*?</section>', page, re.DOTALL).group()
    assert FIRST in section
    assert "balanced accuracy was" in section
    assert '<a href="#before">' in page
    rows = list(csv.DictReader((hardened / "tables" / "before.csv").open()))
    assert len(rows) == 6
    assert float(rows[0]["after"]) - float(rows[0]["before"]) == pytest.approx(float(rows[0]["difference"]), abs=1e-5)


def test_where_there_was_nothing_before_the_page_says_so(tmp_path):
    folder = told(make_run(tmp_path / "run", images=40, budgets={"linf": (2 / 255,)}), "training began from random weights")
    assert "No comparison: training began from random weights." in write_report(folder).read_text()
    assert not (folder / "tables" / "before.csv").exists()


def test_an_audit_of_any_other_network_has_no_such_part(run):
    assert comparison(run, read(run)) is None
    assert 'id="before"' not in (run / "report.html").read_text()


@pytest.mark.parametrize(("kind", "classes"), [("multiclass", SKIN), ("binary", SKIN[:2]), ("ordinal", SKIN[:4]), ("multilabel", LUNG)])
def test_the_mean_over_images_is_the_metric_of_the_set(kind, classes):
    draws = np.random.default_rng(3)
    if kind == "multilabel":
        labels = draws.integers(0, 2, (60, len(classes))).astype(float)
        labels[draws.random(labels.shape) < 0.2] = np.nan  # not annotated
        labels[:, 0] = 0  # a finding that nobody shows
        decided = draws.integers(0, 2, labels.shape)
    else:
        labels, decided = draws.integers(0, len(classes) - 1, 60), draws.integers(0, len(classes), 60)
        labels[:9] = 1  # not all alike; the last class occurs in no label
    said = answers(kind, classes, labels, decided)
    numbers = accuracy_metrics(said, Resamples.draw(np.arange(60), 0, seed=0))
    for name, values in per_image(said).items():
        assert values.mean() == pytest.approx(numbers[name].value)


def test_two_networks_that_answer_alike_are_no_proof_of_equality(tmp_path):
    folder = make_run(tmp_path / "run", images=40, budgets={"linf": (2 / 255,)})
    make_run(folder / BEFORE, images=40, budgets={"linf": (2 / 255,)})
    for change in comparison(told(folder, FIRST), read(folder)).changes:
        assert change.difference.value == 0
        assert change.difference.low < 0 < change.difference.high
        assert change.p == 1


def test_what_may_be_chance_is_called_so():
    change = Change("accuracy", "linf", 2 / 255, 0.5, 0.6, Estimate(0.1, -0.1, 0.3), 0.2)
    assert change.words() == ("50.0", "60.0", "+10.0", "\N{MINUS SIGN}10.0 to +30.0", "0.200")
    assert not change.surely
    assert p_text(0.0001) == "< 0.001"
