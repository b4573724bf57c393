"""The strength benchmark keeps what it measured, and its page says what the rows say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.ledger import Ledger, Row
from benchmarks.strength_table import Pair, page, pairs

OURS = Row("net", "pgd", "linf", "robustdx", 4 / 255, 4, standing=["1100", "1000"], forwards=40, cpu=1.5, versions={"torch": "2"})
THEIRS = replace(OURS, who="foolbox", standing=["1110", "1100"], versions={"foolbox": "3"})
NEAR = Row("net", "ddn", "l2", "robustdx", 0.0, 4, "distance", ["1000"], [None, 0.1, 0.2, 0.3])
FAR = replace(NEAR, who="adv-lib", distances=[None, 0.1, 0.1, 0.3])


def test_a_row_is_kept_and_found_again(tmp_path):
    ledger = Ledger(tmp_path / "results" / "rows.jsonl")
    for row in (OURS, THEIRS, NEAR):
        ledger.add(row)
    again = Ledger(ledger.path)
    assert again.rows == ledger.rows
    assert NEAR.key in again.rows
    assert FAR.key not in again.rows
    assert replace(OURS, images=8).key not in again.rows, "other images are another measurement"


def test_a_line_that_was_left_half_is_measured_again(tmp_path):
    ledger = Ledger(tmp_path / "rows.jsonl")
    ledger.add(OURS)
    with ledger.path.open("a") as file:
        file.write('{"network": "net", "att')
    ledger = Ledger(ledger.path)
    ledger.add(NEAR)
    assert list(Ledger(ledger.path).rows.values()) == [OURS, NEAR]


def test_after_a_change_only_ours_is_measured_again(tmp_path):
    ledger = Ledger(tmp_path / "rows.jsonl")
    for row in (OURS, THEIRS, NEAR, FAR):
        ledger.add(row)
    ledger.forget({"pgd"}, "robustdx")
    assert list(Ledger(ledger.path).rows.values()) == [THEIRS, NEAR, FAR]


def test_the_numbers_of_a_row():
    assert OURS.accuracy == 3 / 8
    assert THEIRS.accuracy == 5 / 8
    assert NEAR.median == 0.2
    assert FAR.median == 0.1
    assert replace(NEAR, distances=[None, None, None, 0.1]).median == float("inf")


@pytest.mark.parametrize(
    ("ours", "theirs", "behind"),
    [
        (OURS, THEIRS, ""),
        (THEIRS, OURS, "+25.0 points"),
        (FAR, NEAR, ""),
        (NEAR, FAR, "+100.0% further"),
        (replace(OURS, kind="verdicts", standing=["1100"]), replace(THEIRS, kind="verdicts", standing=["1010"]), "1 images"),
        (replace(OURS, kind="verdicts", standing=["1000"]), replace(THEIRS, kind="verdicts", standing=["1100"]), ""),
    ],
)
def test_who_is_behind(ours, theirs, behind):
    assert Pair(ours, theirs).behind.startswith(behind)
    assert bool(Pair(ours, theirs).behind) == bool(behind)


def test_only_like_is_paired_with_like_and_the_most_images_count():
    more = [replace(row, images=8, standing=["11110000"]) for row in (OURS, THEIRS)]
    found = list(pairs([OURS, THEIRS, *more, replace(THEIRS, eps=1.0, who="art"), NEAR, FAR]))
    assert [(p.ours.attack, p.theirs.who, p.ours.images) for p in found] == [("pgd", "foolbox", 8), ("ddn", "adv-lib", 4)]


def test_the_page_tells_what_was_measured():
    text = page([OURS, THEIRS, NEAR, FAR, replace(THEIRS, who="art", standing=[], refused="ValueError: two classes")], "a machine")
    assert "| pgd | linf | 4/255 | 4 | foolbox | 37.5% | 62.5% | -25.0 |" in text
    assert "| ddn | l2 | smallest | 4 | adv-lib | 0.2 | 0.1 | **x 2.000** |" in text
    assert "net, ddn l2 against adv-lib: +100.0% further" in text
    assert "1 of 2 comparisons are as aimed at." in text
    assert "two classes" in text
    assert "foolbox 3" in text
    assert "a machine" in text
