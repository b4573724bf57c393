"""robustdx detect: a table, a page and a CSV; refusals are one sentence."""

import json
from pathlib import Path

import pytest
from specimens import Command

from robustdx.cli.demo import HOME

WORDS = ("detect", "--model", HOME, "--data", "synthetic,images=100", "--images", "4", "--learn", "40", "--batch-size", "8")


def test_a_table_a_page_and_a_csv(robustdx: Command, tmp_path: Path) -> None:
    words = (*WORDS, "--detector", "reconstruction-error", "--eps", "8/255", "--attack", "pgd,steps=2", "--out", tmp_path / "run")
    ended = robustdx(*words)
    assert ended.status == 0, ended.err
    assert "reconstruction-error" in ended.out
    assert "An attacker who knows the detector turns" in ended.out
    assert (tmp_path / "run" / "report.html").exists()
    assert (tmp_path / "run" / "tables" / "alarms.csv").exists()
    rows = json.loads((tmp_path / "run" / "results.json").read_text())["rows"]
    assert [row["attacker"] for row in rows] == ["unaware", "aware"]
    assert robustdx(*words).out == ended.out, "a second start shows the same and does nothing"


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("--detector", "mahalonobis", "--eps", "8/255"), "did you mean mahalanobis?"),
        (("--detector", "mahalanobis,layers=head2", "--eps", "8/255"), "there is no layer named 'head2': did you mean head?"),
        (("--detector", "feature-squeezing,median=200", "--eps", "8/255"), "squeeze less"),
        (("--detector", "lid", "--eps", "0.2/255"), "nothing smaller survives being saved"),
        (("--detector", "lid,weights=nowhere", "--eps", "8/255"), "cannot read the weights nowhere"),
    ],
)
def test_refusals_are_one_sentence(robustdx: Command, tmp_path: Path, words: tuple[str, ...], refusal: str) -> None:
    ended = robustdx(*WORDS, *words, "--out", tmp_path / "run")
    assert ended.status == 2
    assert refusal in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "run").exists()


def test_detectors_are_listed_and_described(robustdx: Command) -> None:
    assert "Lee et al. 2018" in robustdx("list", "detectors").out
    assert "neighbours = 20" in robustdx("describe", "lid").out
