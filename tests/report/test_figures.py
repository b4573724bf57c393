"""Every line of the plot stands on the numbers; nothing in it can end the script element it lies in."""

import json

import pytest
from fabricated import make_run

from robustdx.report import figures
from robustdx.report.findings import read


@pytest.fixture(scope="module")
def f(run):
    return read(run)


def drawn(f, n=0):
    return json.loads(figures.curves(f)[n].json)


def test_a_line_and_a_band_for_each_attack_and_the_worst_case(f):
    assert [s.name for s in figures.legend(f)] == ["worst case", "FGSM", "PGD"]
    assert len(drawn(f)["data"]) == 2 * 3


def test_the_line_of_an_attack_is_its_accuracy(f):
    pgd = drawn(f)["data"][-1]
    expected = [f.clean, *(f.cell("pgd", "linf", e) for e in f.eps("linf"))]
    assert pgd["y"] == pytest.approx([100 * c["metrics"]["accuracy"]["value"] for c in expected])


def test_the_band_is_the_interval(f):
    band = drawn(f)["data"][-2]
    cells = [f.clean, *(f.cell("pgd", "linf", e) for e in f.eps("linf"))]
    highs, lows = ([100 * c["metrics"]["accuracy"][end] for c in cells] for end in ("high", "low"))
    assert band["y"] == pytest.approx(highs + lows[::-1])


def test_budgets_stand_by_doublings_and_the_clean_images_one_before(f):
    assert drawn(f)["data"][-1]["x"] == pytest.approx([-1, 0, 1, 2, 3, 4, 5])


def test_the_grey_line_is_the_most_frequent_class_and_guessing(f):
    assert drawn(f)["layout"]["shapes"][0]["y0"] == pytest.approx(68.75)
    assert drawn(f, 1)["layout"]["shapes"][0]["y0"] == pytest.approx(100 / 7)


def test_a_single_attack_is_drawn_once(tmp_path):
    f = read(make_run(tmp_path / "run", attacks=("pgd",), images=60))
    assert [s.name for s in figures.legend(f)] == ["PGD"]


def test_each_threat_has_its_own_plots(tmp_path):
    f = read(make_run(tmp_path / "run", images=60, budgets={"l2": (0.5, 1.0), "linf": (1 / 255, 2 / 255)}))
    assert [p.id for p in figures.curves(f)] == [f"curve-{t}-{m}" for t in ("linf", "l2") for m in ("accuracy", "balanced_accuracy")]


def test_lines_differ_in_more_than_colour(f):
    assert len({(s.dash, s.shape) for s in figures.legend(f)}) == 3


def test_json_cannot_end_its_script():
    assert "<" not in figures.script_json({"data": ["</script>"]})
    assert json.loads(figures.script_json({"data": ["</script>&"]})) == {"data": ["</script>&"]}
