"""The page holds everything it needs, escapes what it is given, and comes out of the folder alone."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from fabricated import edit, make_run

from robustdx.errors import RunError
from robustdx.report.page import emphasised, write_report

HOSTILE = '<img src=x onerror=alert(1)> & "</script><script>alert(2)</script>'


class Page(HTMLParser):
    """What a browser would see of a page: its elements, ids and text outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.silent = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.silent += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.silent -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.silent:
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="session")
def text(run):
    return (run / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def page(text):
    return Page(text)


def test_is_small_enough_to_send(run):
    assert (run / "report.html").stat().st_size < 8e6


def test_points_at_nothing_outside_itself(page):
    links = [v for _, attrs in page.elements for k, v in attrs.items() if k in ("src", "href", "srcset", "action", "data", "poster")]
    assert links
    assert all(v.startswith(("data:", "#")) for v in links)


def test_forbids_every_request(page):
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert "unsafe-eval" not in policy
    assert not re.search(r"script-src[^;]*unsafe-inline", policy)


def test_every_anchor_leads_somewhere(page):
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.all("a")} <= set(ids)


def test_can_be_read_without_eyes(page):
    assert all(a.get("alt") for a in page.all("img"))
    assert all("scope" in a for a in page.all("th"))
    assert all(a.get("aria-label") for _, a in page.elements if a.get("role") in ("img", "region"))
    assert [tag for tag, _ in page.elements].count("h1") == 1


def test_without_scripts_the_curve_is_told_in_words(text):
    told = re.findall(r"<noscript><p>(.*?)</p>", text)
    assert len(told) == 2
    assert "0.25/255: 56.6\N{NO-BREAK SPACE}%" in told[0]


def test_shows_every_number_of_results_json(run, page):
    for cell in json.loads((run / "results.json").read_text())["cells"]:
        if cell["split"] == "test":
            accuracy = cell["metrics"]["accuracy"]
            assert f"{100 * accuracy['low']:.1f}\N{EN DASH}{100 * accuracy['high']:.1f}" in page.words


def test_says_why_a_number_is_missing(page):
    assert "the search stopped at its first success" in page.words


def test_names_the_command_that_makes_it_again(page):
    assert "robustdx audit --model m --data ham10000:PATH --out run" in page.words
    assert "robustdx report skin" in page.words


def test_what_an_attack_is_comes_from_the_run_where_it_says(run, tmp_path):
    folder = make_run(tmp_path / "run", images=60)
    started = json.loads((folder / "run.json").read_text())
    started["documents"] = {"pgd": {"about": "Climbs the loss.", "fields": {"steps": "How many."}}}
    (folder / "run.json").write_text(json.dumps(started))
    words = Page(write_report(folder).read_text()).words
    assert "Climbs the loss." in words
    assert "How many." in words


def test_names_from_the_data_are_text_and_nothing_else(tmp_path):
    classes = (HOSTILE, "nv", "mel")
    folder = make_run(tmp_path / "run", classes=classes, shares=(1, 1, 1), images=60, model=HOSTILE, data=HOSTILE)
    clean = Page(write_report(folder).read_text(encoding="utf-8"))
    assert HOSTILE in clean.words
    assert all("onerror" not in attrs for _, attrs in clean.elements)
    assert len(clean.all("script")) == 4  # two figures, plotly.js and ours


def test_is_the_same_every_time(run, text):
    assert write_report(run).read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    "options",
    [
        {"attacks": (), "budgets": {}},
        {"kind": "multilabel", "classes": ("A", "B", "C"), "shares": (1, 1, 1), "budgets": {"l2": (0.1, 0.5)}, "grouped": False},
        {"kind": "binary", "classes": ("no", "yes"), "shares": (1, 2), "budgets": {"linf": (8 / 255,), "l2": (1.0,)}, "validation": False},
        {"budgets": {"linf": (0.1 / 255, 0.2 / 255)}, "attacks": ("pgd",)},
        {"images": 3},
    ],
    ids=["no attack", "several findings under L2 without patients", "binary under two threats", "below the grid", "three images"],
)
def test_any_run_gives_a_page(tmp_path, options):
    folder = make_run(tmp_path / "run", **({"images": 60} | options))
    assert "How sure it is" in Page(write_report(folder).read_text(encoding="utf-8")).words


def test_a_number_that_is_undefined_is_left_out(tmp_path):
    folder = make_run(tmp_path / "run", images=60)
    cells = json.loads((folder / "results.json").read_text())["cells"]
    for cell in cells:
        cell["metrics"], cell["omitted"] = {}, {"accuracy": "no annotated label"}
    page = Page(write_report(edit(folder, cells=cells)).read_text(encoding="utf-8"))
    assert "no accuracy is defined" in page.words
    assert "nan" not in page.words.lower().split()


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(RunError, match="expected results"):
        write_report(tmp_path)


def test_results_of_another_schema_are_refused(tmp_path):
    (tmp_path / "results.json").write_text('{"schema": 2}')
    with pytest.raises(RunError, match="schema 1, got 2"):
        write_report(tmp_path)


def test_results_are_set_in_bold_and_intervals_are_not():
    sentence = "accuracy 82.8\N{NO-BREAK SPACE}% (78.3\N{EN DASH}86.6), 95\N{NO-BREAK SPACE}% intervals, 99 of 100 <b>"
    assert emphasised(sentence) == (
        'accuracy <strong>82.8\N{NO-BREAK SPACE}%</strong> <span class="whole">(78.3\N{EN DASH}86.6)</span>, '
        "95\N{NO-BREAK SPACE}% intervals, <strong>99 of 100</strong> &lt;b&gt;"
    )


def test_needs_no_torch(run):
    code = f"import sys; from robustdx.report.page import write_report; write_report({str(run)!r}); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
