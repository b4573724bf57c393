"""Detection at a fixed share of false alarms by hand, AUROC as scikit-learn has it, intervals over patients."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from robustdx.errors import DataError
from robustdx.metrics import Resamples
from robustdx.metrics.alarm import NAMES, alarm_metrics, alarm_threshold


def alone(n):
    return Resamples(np.ones((1, n), np.int32), np.arange(n))


@pytest.mark.parametrize(("n", "above"), [(100, 5), (99, 4), (40, 2), (20, 1), (19, 0), (1, 0)])
def test_at_most_five_of_a_hundred_clean_images_lie_above(n, above):
    scores = np.random.default_rng(n).permutation(n).astype(float)
    assert (scores > alarm_threshold(scores)).sum() == above


def test_ties_never_raise_more_alarms_than_allowed():
    scores = np.array([0.0] * 90 + [1.0] * 10)
    assert alarm_threshold(scores) == 1.0


def test_by_hand():
    clean = [0, 1, 2, 3, 4]
    attacked = [9, 1, 5, 9, 9]
    right = np.array([True, True, True, True, False])
    wrong = np.array([True, True, True, False, True])
    found = alarm_metrics(clean, attacked, right, wrong, 3.5, alone(5))
    assert set(found) == set(NAMES)
    values = {name: s.value for name, s in found.items()}
    assert values["broken"] == pytest.approx(3 / 4), "images 0, 1, 2; 3 stands, and 4 was wrong from the beginning"
    assert values["detected"] == pytest.approx(2 / 3), "9 and 5 lie above 3.5"
    assert values["broken_unnoticed"] == pytest.approx(1 / 4)
    assert values["false_alarms"] == pytest.approx(1 / 5)
    assert values["auroc"] == pytest.approx(roc_auc_score([0] * 4 + [1] * 3, [0, 1, 2, 3, 9, 1, 5]))


def test_auroc_is_scikit_learns():
    rng = np.random.default_rng(0)
    clean, attacked = rng.integers(0, 9, 80), rng.integers(2, 12, 80)
    right, wrong = rng.random(80) < 0.8, rng.random(80) < 0.7
    found = alarm_metrics(clean, attacked, right, wrong, 7, alone(80))["auroc"].value
    broken = right & wrong
    truth = [0] * int(right.sum()) + [1] * int(broken.sum())
    assert found == pytest.approx(roc_auc_score(truth, [*clean[right], *attacked[broken]]))


def test_intervals_are_over_patients():
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(30), 2)
    attacked = rng.normal(1, 1, 30).repeat(2)
    yes = np.ones(60, bool)
    found = alarm_metrics(np.zeros(60), attacked, yes, yes, 0.5, Resamples.draw(patients, 400, 0))
    low, high = found["detected"].limits()
    narrow = alarm_metrics(np.zeros(60), attacked, yes, yes, 0.5, Resamples.draw(np.arange(60), 400, 0))["detected"].limits()
    assert low < found["detected"].value < high
    assert high - low > narrow[1] - narrow[0]


def test_where_nothing_is_broken_there_is_nothing_to_detect():
    none = np.zeros(4, bool)
    found = alarm_metrics([0, 1, 2, 3], [0, 1, 2, 3], ~none, none, 9, alone(4))
    assert found["broken"].value == 0
    assert found["detected"].undefined == found["auroc"].undefined == "the attack broke no image"


def test_a_threshold_needs_scores():
    with pytest.raises(DataError, match="fixed on clean validation images, got none"):
        alarm_threshold([])
    with pytest.raises(DataError, match="finite"):
        alarm_threshold([0.0, np.nan])
