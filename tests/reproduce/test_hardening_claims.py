"""Who wins at equal work, on rows whose winner is known."""

import numpy as np
import pytest

from reproduce.hardening import claims
from reproduce.verdicts import answered

IMAGES = 60
Y = [0] * 40 + [1] * 20
"""Two classes, one twice as large."""


def row(run, robust, val=0.5):
    """`robust` images of each class, of ten, are right in the worst case."""
    marks = "".join("1" if i % 10 < robust else "0" for i in range(IMAGES))
    told = {"clean": "1" * IMAGES, "robust": marks, "y": Y, "patients": [f"p{i // 2}" for i in range(IMAGES)], "ids": list(range(IMAGES))}
    chosen = {"balanced_accuracy": 0.6, "robust_balanced_accuracy": val}
    return {"run": run, "val": chosen, "epochs": [1.5, 2], "seconds": 90, "events": [], "objective": {"name": "madry"}, **told}


def test_each_class_counts_the_same():
    one = row("auto-0", 10) | {"robust": "1" * 40 + "0" * 20}
    assert claims.balanced(one, "robust").mean() == pytest.approx(0.5)
    assert claims.balanced(one, "clean").mean() == pytest.approx(1.0)


def test_of_two_readings_the_better_on_validation_images_stands_for_the_method():
    found = [row("mpadvt-0", 2, val=0.3), row("mpadvt-published-0", 1, val=0.4), row("trades-0", 3)]
    assert [r["run"] for r in claims.best_readings(found)] == ["mpadvt-published-0", "trades-0"]


def test_the_recipe_is_asked_against_each_and_wins_only_where_it_does():
    found = [row("auto-0", 8), row("mpadvt-0", 2), row("trades-0", 8)]
    worse, level = answered(claims.questions(found))
    assert (worse.words, worse.question.at_least) == ("holds", False)
    assert (level.words, level.question.at_least) == ("holds", True), "as good as is enough"
    lost = answered(claims.questions([row("auto-0", 2), row("mpadvt-0", 8)]))[0]
    assert lost.words == "does not hold"


def test_seeds_that_both_have_are_taken_together():
    found = [row("auto-0", 8), row("auto-1", 6), row("mpadvt-0", 2)]
    [asked] = claims.questions(found)
    assert np.mean(asked.first) == pytest.approx(claims.balanced(found[0], "robust").mean())


def test_the_table_begins_with_the_best():
    lines = claims.told([row("trades-0", 3), row("auto-0", 8)])
    assert lines[2].startswith("| auto-0 | 1.5 + 2 | 80.0 | 100.0 |")


def test_what_was_not_measured_is_named():
    told = claims.waiting([row("auto-0", 8), row("mpadvt-0", 2)])
    assert "maadvt, " in told
    assert "auto" not in told
    assert not claims.waiting([row(f"{name}-0", 1) for name in ("auto", *claims.METHODS)])
