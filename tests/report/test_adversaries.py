"""The page tells who broke how many images, who did it cheapest, what it takes who can only ask, and what falls first."""

import csv
import json

import pytest
from fabricated import LUNG, edit, make_run

from robustdx.records import Cell, table
from robustdx.report.adversaries import adversaries, cheapest, falling
from robustdx.report.findings import read
from robustdx.report.numbers import NBSP
from robustdx.report.page import render, write_report
from robustdx.report.queries import query_curves
from robustdx.store import Store

BUDGETS = (1 / 255, 2 / 255, 4 / 255)
FELL = {"fgsm": (30, 90, 150), "pgd": (60, 160, 200), "square": (5, 30, 60)}
"""Images broken at each budget, of 200, of 200 and of 80."""
PASSES = {"fgsm": 2.0, "pgd": 12.3, "square": 400.0}
MEMBERS = {"apgd": {"broken": 50, "forwards": 60, "backwards": 40}, "fab": {"broken": 10, "forwards": 1000, "backwards": 200}}
WITHIN = [1, 10, 100, 1000]
CURVES = ([0, 0, 0.02, 0.0625], [0, 0.1, 0.3, 0.375], [0, 0.3, 0.6, 0.75])


def whole(cell):
    """A cell with counts made up for it."""
    if cell["attack"] in ("clean", "worst"):
        return cell
    k, drawn = BUDGETS.index(cell["eps"]), cell["attack"] == "square"
    images = 100 if drawn else cell["images"]
    more = {"broken": {"images": FELL[cell["attack"]][k], "of": 80 if drawn else 200}, "passes": PASSES[cell["attack"]] * images}
    if cell["attack"] == "pgd":
        more |= {"members": MEMBERS, "settings": {"name": "cascade", "members": [{"name": "apgd"}, {"name": "fab"}]}}
    if drawn:
        more |= {"images": images, "queries": {"within": WITHIN, "broken": CURVES[k]}, "settings": {"name": "square", "queries": 1000}}
    return {**cell, **more}


def with_counts(folder, fell=None, **options):
    """A run of three attacks: FGSM, a cascade that goes by the name of PGD, and a black-box search on 100 images."""
    run = make_run(folder, images=250, attacks=("fgsm", "pgd"), budgets={"linf": BUDGETS}, **options)
    results = json.loads((run / "results.json").read_text())
    copies = [{**c, "attack": "square", "key": "square"} for c in results["cells"] if c["attack"] == "fgsm"]
    cells = [whole(c) for c in (*results["cells"], *copies)]
    for cell in cells:
        if fell is not None and "broken" in cell:
            cell["broken"] = {**cell["broken"], "images": fell}
    return edit(run, cells=cells)


@pytest.fixture(scope="module")
def f(tmp_path_factory):
    return read(with_counts(tmp_path_factory.mktemp("who") / "run"))


def test_each_attack_and_each_member_has_a_row(f):
    who = adversaries(f)
    assert who.columns == ["1/255", "2/255", "4/255"]
    rows = {row.attack: row for row in who.rows}
    assert list(rows) == ["FGSM", "PGD", "of these APGD", "of these FAB", "SQUARE", "Cheapest that breaks half"]
    assert [e.value for e in rows["FGSM"].entries] == ["30 of 200", "90 of 200", "150 of 200"]
    assert rows["PGD"].entries[0].interval == "12 passes"
    assert (rows["of these APGD"].entries[0].value, rows["of these APGD"].entries[0].interval) == ("50", "2 passes")
    assert [row.budget for row in who.rows] == ["all", "all", "", "", "100 of 250", ""]


def test_the_cheapest_is_the_one_with_the_fewest_passes_of_those_that_succeed(f):
    assert cheapest(f, "linf", BUDGETS[0]) is None
    assert [cheapest(f, "linf", e)["attack"] for e in BUDGETS[1:]] == ["pgd", "fgsm"]
    who = adversaries(f)
    assert [e.value for e in who.rows[-1].entries] == ["\N{EN DASH}", "PGD", "FGSM"]
    assert who.told[0] == (
        "Half of the images or more are broken from 2/255 on; the cheapest adversary that does it there is PGD, at 12 passes per image."
    )


def test_where_half_stands_it_is_the_cheapest_that_broke_any(tmp_path):
    told = adversaries(read(with_counts(tmp_path / "run", fell=3))).told
    assert told[0] == (
        "No attack broke half of the images. The cheapest that broke any, at 1/255, is FGSM, at 2 passes per image (3 of 200)."
    )
    told = adversaries(read(with_counts(tmp_path / "other", fell=0))).told
    assert told[0] == "No attack of the plan broke a single image under L∞."


def test_what_it_takes_who_can_only_ask(f):
    assert "Who can only ask breaks half of the images within 100 queries at 4/255 (SQUARE, tried on 100 images)." in adversaries(f).told
    cells = [c for c in f.results["cells"] if c["eps"] < BUDGETS[2]]
    weaker = type(f)({**f.results, "cells": cells}, f.run, f.labels, f.decisions)
    assert f"Who can only ask breaks 37.5{NBSP}% of the images within 1,000 queries at 2/255 (SQUARE, tried on 100 images)." in (
        adversaries(weaker).told
    )


def test_a_subset_is_called_one_wherever_it_is_spoken_of(f, tmp_path):
    told = adversaries(f).told[-1]
    assert told.startswith("SQUARE was shown 100 of the 250 images only, drawn by patient")
    page = render(f, tmp_path)
    assert "SQUARE (on 100 of the images)" in page
    assert "1/255, 100 images" in page


def test_the_query_curve_has_a_line_for_each_budget(f):
    (figure,) = query_curves(f)
    lines = json.loads(figure.json)["data"]
    assert [line["name"] for line in lines] == ["1/255", "2/255", "4/255"]
    assert lines[2]["x"] == [0, 1, 2, 3]
    assert lines[2]["y"] == [0, 30, 60, 75]
    assert f"4/255: 75.0{NBSP}%" in figure.alt


def accuracies(run, **values):
    """The run with accuracies by finding: clean, then at each budget."""
    results = json.loads((run / "results.json").read_text())
    for cell in results["cells"]:
        k = 0 if cell["attack"] == "clean" else 1 + BUDGETS.index(cell["eps"])
        cell["metrics"] |= {f"accuracy:{n}": {"value": v[k], "low": v[k], "high": v[k]} for n, v in values.items()}
    return read(edit(run, cells=results["cells"]))


def test_which_finding_falls_first(tmp_path):
    run = with_counts(tmp_path / "run", kind="multilabel", classes=LUNG, shares=(1,) * 6)
    stands = (0.8, 0.8, 0.8, 0.8)
    rest = dict.fromkeys(LUNG, stands) | {"Effusion": (0.9, 0.6, 0.4, 0.1), "Emphysema": (0.8, 0.7, 0.2, 0.0)}
    f = accuracies(run, **rest)
    assert falling(f, "linf") == (BUDGETS[1], [("Emphysema", 0.8, 0.2), ("Effusion", 0.9, 0.4)])
    assert (
        f"First to fall below half of its accuracy when not attacked, at 2/255: Emphysema (80.0{NBSP}% to 20.0{NBSP}%) "
        f"and Effusion (90.0{NBSP}% to 40.0{NBSP}%)."
    ) in adversaries(f).told
    f = accuracies(run, **dict.fromkeys(LUNG, stands))
    assert "No finding fell below half of its accuracy when not attacked." in adversaries(f).told


def test_results_from_before_images_were_counted_have_no_such_section(run, tmp_path):
    f = read(run)
    cells = [{k: v for k, v in c.items() if k != "broken"} for c in f.results["cells"]]
    old = type(f)({**f.results, "cells": cells}, f.run, f.labels, f.decisions)
    assert adversaries(old) is None
    assert "Who broke it" not in render(old, tmp_path)


def row(i, clean, saved, passes, member=None):
    decided = {"clean_decision": [clean], "searched_decision": [saved], "saved_decision": [saved]}
    scores = {f"{form}_scores": [0.5, 0.5] for form in ("clean", "searched", "saved")}
    counted = {"searched_distance": 0.0, "saved_distance": 0.0, "forwards": passes, "backwards": passes - 1, "member": member}
    return {"id": f"image {i}", "patient": None, "label": [1]} | decided | scores | counted


def test_broken_csv_says_of_each_image_who_broke_it(tmp_path):
    run = make_run(tmp_path / "run", kind="binary", classes=("naevus", "melanoma"), shares=(1, 1), images=4, budgets={"linf": ()})
    results = json.loads((run / "results.json").read_text())
    store = Store(run)
    kept = {
        "cascade": [row(0, 1, 0, 9, "apgd"), row(1, 1, 1, 50), row(2, 0, 0, 0), row(3, 1, 0, 40, "fab")],
        "square": [row(0, 1, 0, 3), row(1, 1, 1, 100)],
    }
    for name, rows in kept.items():
        cell = Cell(name, "linf", 2 / 255, "test", {"name": name}, True, "saved", 2 if name == "square" else None)
        store.add_part(cell, 0, table(rows), 1.0)
        store.finish(cell, 1)
    write_report(edit(run, cells=results["cells"]))
    with (run / "tables" / "broken.csv").open(newline="", encoding="utf-8") as file:
        found = [(line["id"], line["label"], line["broken_by"], line["cheapest"], line["passes"]) for line in csv.DictReader(file)]
    assert found == [
        ("image 0", "melanoma", "cascade (apgd) + square", "square", "5"),
        ("image 1", "melanoma", "", "", ""),
        ("image 2", "melanoma", "", "", ""),
        ("image 3", "melanoma", "cascade (fab)", "cascade (fab)", "79"),
    ]
