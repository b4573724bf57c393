"""The code of docs/inside-the-network.md runs, and shows on a few images what the page says of many."""

import re
from pathlib import Path

import pytest

from robustdx.analyses import ANALYSES, Seen

PAGE = (Path(__file__).parents[2] / "docs" / "inside-the-network.md").read_text()
(CODE,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def page():
    names: dict = {}
    exec(CODE.replace("count, eps = 200,", "count, eps = 60,"), names)
    return names


def test_the_code_runs_and_the_attack_grows_from_layer_to_layer(page):
    finding = page["finding"]
    cka = [finding.value("pgd", f"features.{i}", "cka") for i in range(5)] + [finding.value("pgd", "head", "cka")]
    assert cka == sorted(cka, reverse=True)
    assert cka[0] > 0.98
    assert cka[-1] < 0.6
    assert all(n.value > 0.98 for n in finding.numbers if n.view == "noise")


def test_the_classes_stay_apart_but_not_where_the_network_looks(page):
    analysis = ANALYSES.parse("separability")
    found = analysis.conclude(Seen.joined([analysis(page["model"], page["views"](range(60)))]))
    assert found.value("pgd", "decision", "probe") > found.value("pgd", "decision", "probe_of_clean") + 0.3
    assert found.value("noise", "decision", "probe_of_clean") == pytest.approx(found.value("clean", "decision", "probe"), abs=0.1)
    assert found.value("pgd", "decision", "fisher") < 0.5 * found.value("clean", "decision", "fisher")


def test_every_analysis_is_on_the_page():
    for name in ANALYSES.methods:
        assert f"| `{name}` |" in PAGE
