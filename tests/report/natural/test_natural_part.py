"""The part without an adversary: every number of the results, in the order that matters, and nothing where nothing was asked."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from fabricated import LUNG, make_run
from fabricated_natural import CLIPS, PERTURBED, add_natural, natural_of

from robustdx.report.findings import read
from robustdx.report.natural.inside import inside, over
from robustdx.report.natural.part import natural
from robustdx.report.numbers import DASH
from robustdx.report.page import render, write_report


@pytest.fixture(scope="module")
def skin(tmp_path_factory):
    folder = add_natural(make_run(tmp_path_factory.mktemp("natural") / "skin", images=160, attacks=("pgd",), budgets={"linf": (2 / 255,)}))
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def lung(tmp_path_factory):
    made = make_run(
        tmp_path_factory.mktemp("natural") / "lung",
        kind="multilabel",
        classes=LUNG,
        shares=(0.2, 0.1, 0.1, 0.3, 0.1, 0.2),
        images=120,
        attacks=(),
        budgets={},
    )
    return add_natural(made, {"brightness": 0.05}, {"rotate": ("previous", 0.1)})


def test_a_run_without_perturbations_has_no_such_part(run):
    f = read(run)
    assert natural(f, run) is None
    page = render(f, run)
    assert "Without an adversary" not in page
    assert "Flip probability" not in page


def test_the_greatest_loss_stands_first_with_its_interval(skin):
    part = natural(read(skin), skin)
    found = {own["label"]: own for own in natural_of(skin)["perturbations"]}
    changes = [found[row.name.replace(" ", "_")]["mean"]["change"]["accuracy"] for row in part.losses.rows]
    assert [c["value"] for c in changes] == sorted(c["value"] for c in changes)
    assert len(part.losses.rows) == len(PERTURBED)
    first, last = part.losses.rows[0], part.losses.rows[-1]
    assert first.name == "dark corner"
    assert first.surely
    assert first.change.value == f"\N{MINUS SIGN}{-100 * changes[0]['value']:.1f}"
    assert first.severities[4].value == f"{100 * found['dark_corner']['severities'][4]['metrics']['accuracy']['value']:.1f}"
    assert (last.name, last.change.value, last.surely) == ("jpeg compression", "0.0", False)


def test_a_curve_for_each_with_the_images_as_they_came_as_a_line(skin):
    part = natural(read(skin), skin)
    clean = natural_of(skin)["clean"]["metrics"]["accuracy"]["value"]
    assert [c.title for c in part.curves] == [row.name for row in part.losses.rows]
    figure = json.loads(part.curves[0].json)
    assert figure["layout"]["shapes"][0]["y0"] == pytest.approx(100 * clean)
    assert figure["data"][1]["x"] == [1, 2, 3, 4, 5]
    assert figure["data"][1]["y"] == sorted(figure["data"][1]["y"], reverse=True)
    assert "severity 5" in part.curves[0].alt


def test_flips_have_their_accuracy_beside_them_and_the_mean_last(skin):
    part, found = natural(read(skin), skin), natural_of(skin)
    assert [row.name for row in part.flips.rows] == ["gaussian noise", "rotate", "translate", "mean of all"]
    first, each = part.flips.rows[0], {own["label"]: own["metrics"] for own in found["sequences"]}
    assert first.bar.entry.value == f"{100 * each['gaussian_noise']['flip_probability']['value']:.1f}"
    assert first.accuracy.value == f"{100 * each['gaussian_noise']['frame_accuracy']['value']:.1f}"
    assert first.bar.low < first.bar.value < first.bar.high == 1
    assert "against the first" in first.about
    assert part.flips.rows[-1].bar.entry.value == f"{100 * found['mean_flips']['flip_probability']['value']:.1f}"


def test_sentences_say_what_the_numbers_say(skin):
    part, found = natural(read(skin), skin), natural_of(skin)
    whole = found["mean"]["metrics"]["accuracy"]["value"]
    first = re.sub(r"\s", " ", part.told[0])
    assert f"{100 * whole:.0f} of 100 on average over {len(PERTURBED)} natural perturbations, severities 1 to 5" in first
    assert "points lost (\N{MINUS SIGN}" in first
    assert "Worst is dark corner" in part.told[1]
    assert f"{len(CLIPS)} slowly changing clips" in re.sub(r"\s", " ", part.told[2])


def test_a_loss_that_may_be_chance_is_called_so(tmp_path):
    folder = add_natural(make_run(tmp_path / "few", images=30, attacks=(), budgets={}), {"fog": 0.01, "hair": 0.0}, {})
    part = natural(read(folder), folder)
    assert part.flips is None
    assert "which may be chance" in part.told[0] or "no change" in part.told[0]


def test_several_findings_have_a_column_each(lung):
    part = natural(read(lung), lung)
    assert part.flips.findings == list(LUNG)
    (only,) = part.flips.rows
    assert only.findings[0].value != "0.0"
    assert only.findings[1].value == "0.0"


def test_a_run_without_attacks_has_a_page_that_says_so(lung):
    page = render(read(lung), lung)
    assert "No attack was tried on it" in page
    assert 'id="natural"' in page


def test_a_flag_stands_in_the_page_and_labels_are_escaped(skin, tmp_path):
    results = json.loads((skin / "results.json").read_text())
    flag = {"name": "constant answers", "title": "Says “nv” on 100.0 % of all frames", "raised_if": "r", "means": "m", "do": "d"}
    results["natural"]["flags"] = [flag]
    results["natural"]["perturbations"][0]["label"] = "<script>alert(1)</script>"
    f = read(skin)
    page = render(type(f)(results, f.run, f.labels, f.decisions), skin)
    assert "Says “nv” on 100.0 % of all frames" in page
    assert "<script>alert" not in page


def test_tables_hold_perturbations_and_sequences(skin):
    text = (skin / "tables" / "natural.csv").read_text()
    assert "perturbation,dark_corner,5,accuracy," in text
    assert "sequence,rotate,,flip_probability," in text
    assert "sequence,mean,,flip_probability," in text


def test_the_worst_case_stands_next_to_the_average_with_what_did_it(skin):
    part, found = natural(read(skin), skin), natural_of(skin)["worst_case"]
    assert [row[0] for row in part.worst.rows] == ["as they came", "average", "worst case"]
    assert part.worst.rows[2][1].value == f"{100 * found['worst']['metrics']['accuracy']['value']:.1f}"
    assert part.worst.rows[2][3] < part.worst.rows[1][3] < part.worst.rows[0][3]
    turned = next(p for p in part.worst.parts if p.name == "turned")
    assert turned.reach == "±15°"
    assert turned.used == pytest.approx(0.8, abs=0.15)
    assert f"{found['broken']['images']} of {found['broken']['of']} right answers" in part.worst.told
    assert 'id="natural"' in render(read(skin), skin)


def test_analyses_are_shown_with_their_pictures_and_what_they_refuse(skin, tmp_path):
    number = {"view": "pgd", "where": "layer1", "measure": "cka", "value": 0.25, "why": ""}
    missing = {**number, "where": "layer2", "value": None, "why": "it does not vary"}
    rng = np.random.default_rng(0)
    points = {f"{v}/points:fc": rng.normal(size=(20, 2)) for v in ("clean", "pgd")}
    (tmp_path / "analyses").mkdir()
    np.savez(tmp_path / "analyses" / "separability.npz", **points, **{"clean/label:fc": np.arange(20.0)[:, None] % 2})
    maps = {f"{v}/{of}": rng.random(shape) for v in ("clean", "pgd") for of, shape in (("image", (4, 3, 9, 9)), ("saliency", (4, 9, 9)))}
    np.savez(tmp_path / "analyses" / "response-areas.npz", **maps)
    named = {n: {"label": n, "settings": {"name": n}, "about": "about", "numbers": []} for n in ("cka", "separability", "response-areas")}
    named["cka"]["numbers"] = [number, missing]
    named["separability"]["refused"] = "a single class"
    found = {"analyses": {"images": 20, "eps": 2 / 255, "views": ["clean", "pgd"], "analyses": list(named.values())}}
    part = inside(found, tmp_path, "linf", ("no", "yes"))
    assert "20 images as they came and under pgd at 2/255" in part.told
    cka, separability, areas = part.looks
    assert [[e.value for e in entries] for _, _, entries in cka.rows] == [["0.25"], [DASH]]
    assert cka.notes == ["it does not vary"]
    assert separability.refused == "a single class"
    assert [f.title for f in separability.figures] == ["Features of fc, as they came", "Features of fc, pgd"]
    assert [trace["name"] for trace in json.loads(separability.figures[0].json)["data"]] == ["no", "yes"]
    assert len(areas.pictures) == 3
    assert [p.title for p in areas.pictures[0][1]] == ["as they came", "pgd"]


def test_heat_lies_where_the_response_is():
    image, heat = np.full((3, 4, 4), 0.5), np.zeros((4, 4))
    heat[0, 0] = 1
    shown = over(image, heat)
    assert (shown[3, 3] == 128).all()
    assert shown[0, 0, 0] > 170 > shown[0, 0, 2]
