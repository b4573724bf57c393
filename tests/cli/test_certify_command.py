"""robustdx certify on the built-in network and images: a page, a curve, and each image's certificate."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import final

import pytest
from specimens import Command

from robustdx.cli.demo import HOME
from robustdx.purifiers import PURIFIERS

WORDS = ["certify", "--model", HOME, "--data", "synthetic,images=200", "--images", "4", "--sigma", "0.1", "--samples", "5,20"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@final
@dataclass(frozen=True, kw_only=True)
class Half:
    """Halfway to grey."""

    to: float = 0.5
    """The grey."""

    def __call__(self, x, draws):
        return (x + self.to) / 2


def test_proved_beside_broken_on_one_page_and_again_from_the_votes(robustdx: Command, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ended = robustdx(*WORDS, "--attack", "pgd,steps=1", "--eps", "0.1,0.4", "--draws", "2", "--out", out)
    assert ended.status == 0, ended.err
    assert "certified accuracy" in ended.out
    assert f"The report is {out / 'certificate.html'}" in ended.out
    results, lines = json.loads((out / "results.json").read_text()), rows(out / "certificates.csv")
    assert len(lines) == results["images"] >= 4
    assert results["curve"][0]["value"] == pytest.approx(sum(line["right"] == "True" for line in lines) / len(lines))
    assert json.loads((out / "empirical" / "results.json").read_text())["model"]["name"].endswith("smoothed at sigma 0.1")
    beside = (out / "empirical" / "report.html").read_text()
    assert ("What is proved of it" in beside, 'data-plot="certificate"' in beside) == (True, True), "the audit's report shows the proof too"
    page = (out / "certificate.html").read_text()
    for words in ("left by the attacks at this length", "Right answers against the length of the change", "5 draws choose the class"):
        assert words in page
    assert "http" not in page.partition("<script>")[0].replace("http-equiv", ""), "nothing is fetched"
    (out / "certificate.html").unlink()
    assert robustdx("report", out).status == 0
    assert (out / "certificate.html").read_text() == page
    assert robustdx(*WORDS, "--attack", "pgd,steps=1", "--eps", "0.1,0.4", "--draws", "2", "--out", out).status == 0
    other = robustdx(*WORDS, "--alpha", "0.01", "--out", out)
    assert (other.status, "another plan" in other.err) == (2, True)


def test_a_purifier_goes_before_the_network(robustdx: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Denoised smoothing."""
    monkeypatch.setitem(PURIFIERS.methods, "half", Half)
    for name, words in {"plain": (), "half": ("--purifier", "half,to=0")}.items():
        ended = robustdx(*WORDS, *words, "--out", tmp_path / name)
        assert ended.status == 0, ended.err
    plain, half = (rows(tmp_path / name / "certificates.csv") for name in ("plain", "half"))
    assert [line["id"] for line in plain] == [line["id"] for line in half]
    assert [line["votes"] for line in plain] != [line["votes"] for line in half]
    assert "The purifier half cleans each noisy image" in (tmp_path / "half" / "certificate.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sigma", "0"), "sigma must be above 0"),
        (("--sigma", "a lot"), "sigma: expected a number"),
        (("--samples", "many"), "expected whole numbers such as 100,1000"),
        (("--samples", "0,100"), "each at least 1"),
        (("--samples", "100"), "expected two numbers of samples"),
        (("--alpha", "1.5"), "alpha must lie between 0 and 1"),
        (("--purifier", "mada"), "there is no purifier named 'mada'"),
        (("--attack", "pgd", "--eps", "0"), "expected an eps above 0"),
    ],
)
def test_what_proves_nothing_is_one_sentence(robustdx: Command, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    ended = robustdx(*WORDS, *words, "--out", tmp_path / "run")
    assert ended.status == 2
    assert said in ended.err
    assert not (tmp_path / "run").exists()
