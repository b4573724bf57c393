"""Thresholds are fixed once, on clean validation images, and then judge whatever comes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from robustdx.metrics import Resamples, answers, default_point, fix
from robustdx.metrics.operating_point import operating_metrics, youden


def alone(n):
    """Every image its own patient, no resamples."""
    return Resamples(np.ones((1, n), np.int32), np.arange(n))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=50).filter(lambda p: len({y for y, _ in p}) == 2))
def test_youdens_j_is_largest_there(pairs):
    y, s = (np.array(column) for column in zip(*pairs, strict=True))
    false, true, thresholds = sk.roc_curve(y, s, drop_intermediate=False)
    j = (true - false)[1:]
    ours = youden(s.astype(float), y)
    assert j[thresholds[1:] == ours] == pytest.approx(j.max(), abs=1e-12)
    assert ours == pytest.approx(max(t for t, value in zip(thresholds[1:], j, strict=True) if value > j.max() - 1e-12))


def test_binary_has_one_threshold_on_the_positive_score():
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    point = fix(answers("binary", ("no", "yes"), [0, 0, 1, 1], [0, 0, 0, 0], np.stack([1 - scores, scores], 1)))
    assert point.thresholds[1] == 0.3
    assert point.images == 4


def test_sensitivity_and_specificity_at_the_point():
    scores = np.array([0.35, 0.2, 0.3, 0.25, 0.9])
    validation = answers("binary", ("no", "yes"), [0, 1], [0, 1], [[0.8, 0.2], [0.7, 0.3]])
    seen = answers("binary", ("no", "yes"), [0, 0, 1, 1, 1], [0] * 5, np.stack([1 - scores, scores], 1))
    found = operating_metrics(seen, fix(validation), alone(5))
    assert found["sensitivity"].value == pytest.approx(2 / 3)
    assert found["specificity"].value == pytest.approx(1 / 2)


def test_every_class_has_its_own_against_the_rest():
    rng = np.random.default_rng(0)
    y, s = rng.integers(0, 3, 60), rng.random((60, 3))
    point = fix(answers("multiclass", "abc", y, y, s))
    found = operating_metrics(answers("multiclass", "abc", y, y, s), point, alone(60))
    decided = s >= point.thresholds
    each = [sk.recall_score(y == k, decided[:, k]) for k in range(3)]
    assert found["sensitivity"].value == pytest.approx(np.mean(each), abs=1e-12)
    assert found["sensitivity:b"].value == pytest.approx(each[1], abs=1e-12)
    assert found["specificity:b"].value == pytest.approx(sk.recall_score(y != 1, ~decided[:, 1]), abs=1e-12)


def test_a_finding_that_validation_does_not_show_stays_at_a_half_and_is_named():
    y = np.array([[0, 0], [1, 0], [np.nan, 0]])
    point = fix(answers("multilabel", ("seen", "unseen"), y, y == 1, [[0.1, 0.2], [0.4, 0.3], [0.9, 0.1]]))
    assert point.thresholds.tolist() == [0.4, 0.5]
    assert point.defaults == ("unseen",)


def test_without_validation_every_threshold_is_a_half():
    assert default_point(3).thresholds.tolist() == [0.5] * 3
    assert default_point(3).images == 0
