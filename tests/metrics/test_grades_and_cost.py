"""Kappa and the error in grades against scikit-learn's, costs against a sum by hand, both with intervals over patients."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from robustdx.errors import DataError
from robustdx.metrics import Resamples, answers, clopper_pearson
from robustdx.metrics.cost import cost_metrics, expected_cost
from robustdx.metrics.grades import grade_metrics

RNG = np.random.default_rng(0)
GRADES = tuple("01234")
COSTS = np.array([[0.0, 1, 2], [10, 0, 3], [4, 4, 0]])


def said(labels, decisions, classes=GRADES):
    return answers("ordinal", classes, np.asarray(labels), np.asarray(decisions))


@pytest.mark.parametrize("seed", range(4))
def test_they_are_scikit_learn_s_in_the_set_and_in_every_resample(seed):
    rng = np.random.default_rng(seed)
    t, patients = rng.integers(0, 5, 60), rng.integers(0, 25, 60)
    d = (t + rng.integers(-1, 2, 60)).clip(0, 4)
    patients = np.unique(patients, return_inverse=True)[1]
    drawn = rng.integers(0, patients.max() + 1, (10, patients.max() + 1))
    found = grade_metrics(said(t, d), Resamples.of(drawn, patients))
    for row, who in enumerate([np.arange(patients.max() + 1), *drawn]):
        images = np.concatenate([np.flatnonzero(patients == g) for g in who])
        assert found["kappa"].values[row] == pytest.approx(cohen_kappa_score(t[images], d[images], weights="quadratic"))
        assert found["grade_error"].values[row] == pytest.approx(mean_absolute_error(t[images], d[images]))


def test_perfect_grades_still_leave_doubt():
    """No resample differs, so the limits come through the share that could have been wrong."""
    t = np.arange(20) % 5
    found = grade_metrics(said(t, t), Resamples.draw(np.arange(20), 200, 0))
    assert found["kappa"].value == 1
    assert found["kappa"].limits()[0] < 0.5
    assert found["grade_error"].limits() == pytest.approx((0, 4 * clopper_pearson(0, 20)[1]))


def test_kappa_of_one_grade_has_no_meaning():
    found = grade_metrics(said([2] * 9, [2] * 9), Resamples.draw(np.arange(9), 100, 0))["kappa"]
    assert not found.defined
    assert "one grade" in found.undefined


def test_expected_cost_is_the_mean_cost_of_a_decision_times_1000():
    t, d = RNG.integers(0, 3, 50), RNG.integers(0, 3, 50)
    assert expected_cost(d, t, COSTS) == pytest.approx(1000 * np.mean([COSTS[a, b] for a, b in zip(t, d, strict=True)]))
    assert expected_cost(t, t, COSTS) == 0


def test_a_melanoma_called_a_nevus_costs_more_than_the_reverse():
    nevus, melanoma = 0, 1
    assert expected_cost([nevus], [melanoma], COSTS) == 10_000
    assert expected_cost([melanoma], [nevus], COSTS) == 1_000


def test_a_patient_with_many_images_counts_once():
    labels, decisions, patients = [1] * 9 + [0], [0] * 9 + [0], ["a"] * 9 + ["b"]
    assert expected_cost(decisions, labels, COSTS, patients) == 5_000
    resamples = Resamples.draw(np.array([0] * 9 + [1]), 100, 0)
    found = cost_metrics(said(labels, decisions, tuple("abc")), COSTS, resamples)["cost_per_1000"]
    assert found.value == pytest.approx(5_000)
    assert found.limits() == pytest.approx((0, 10_000))


@pytest.mark.parametrize(
    ("labels", "decisions", "costs"), [([0], [0], [[0, 1]]), ([2], [0], [[0, 1], [1, 0]]), ([0, 1], [0], [[0, 1], [1, 0]])]
)
def test_costs_that_do_not_fit_are_refused(labels, decisions, costs):
    with pytest.raises(DataError, match="costs"):
        expected_cost(decisions, labels, costs)
