"""What attacks changed, and what the worst of them leaves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustdx.metrics import Resamples, answers, change_metrics, worst_decisions

NAN = np.nan


def changes(kind, classes, labels, clean, *attacked):
    first, *others = (answers(kind, classes, labels, d) for d in (clean, *attacked))
    n = len(labels)
    found = change_metrics(first, others, Resamples(np.ones((1, n), np.int32), np.arange(n)))
    return {name: statistic.value for name, statistic in found.items()}


def test_the_fooling_rate_asks_for_a_change_and_broken_for_a_harm():
    # Right and kept, right and broken, wrong and still wrong but otherwise, wrong and mended.
    found = changes("multiclass", "abc", [0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 2, 0])
    assert found == pytest.approx({"fooling_rate": 3 / 4, "broken": 1 / 2})


def test_for_findings_it_is_one_minus_the_agreement_of_annotated_decisions():
    found = changes("multilabel", "ab", [[1, 0], [1, NAN]], [[1, 0], [0, 1]], [[0, 0], [1, 0]])
    assert found == pytest.approx({"fooling_rate": 2 / 3, "broken": 1 / 2})


def test_over_several_attacks_any_of_them_counts():
    found = changes("binary", ("no", "yes"), [1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1], [1, 0, 1, 0])
    assert found == pytest.approx({"fooling_rate": 3 / 4, "broken": 2 / 3})


def test_where_nothing_was_right_nothing_can_be_broken():
    assert np.isnan(changes("binary", ("no", "yes"), [1], [0], [0])["broken"])


def test_the_worst_of_two_attacks_by_hand():
    labels = np.array([[0], [0], [0], [0], [0]])
    clean = np.array([[0], [2], [0], [0], [0]])
    first = np.array([[0], [0], [1], [0], [1]])
    second = np.array([[0], [0], [0], [2], [2]])
    # Stands; wrong from the start, though both attacks mended it; broken by the first; by the second; by both: the first's.
    assert worst_decisions(labels, clean, [first, second]).ravel().tolist() == [0, 2, 1, 2, 1]


def test_the_worst_of_two_attacks_is_taken_for_each_finding():
    labels, clean = np.array([[1, 0, NAN]]), np.array([[1, 0, 1]])
    assert worst_decisions(labels, clean, [np.array([[0, 0, 0]]), np.array([[1, 1, 0]])]).tolist() == [[0, 1, 1]]


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_the_worst_case_is_no_better_than_any_attack_and_right_only_if_all_are(seed, n):
    rng = np.random.default_rng(seed)
    labels, clean, *attacks = (rng.integers(0, 3, (20, 1)) for _ in range(n + 2))
    right = worst_decisions(labels, clean, attacks) == labels
    assert np.array_equal(right, np.all([d == labels for d in (clean, *attacks)], axis=0))
