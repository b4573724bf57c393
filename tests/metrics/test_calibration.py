"""Calibration against scikit-learn's curve and Brier score, and against counts by hand."""

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from robustdx.metrics import Resamples, answers, calibration_metrics, reliability

CLASSES = ("a", "b", "c")


def alone(n):
    """Every image its own patient, no resamples."""
    return Resamples(np.ones((1, n), np.int32), np.arange(n))


def drawn(n, resamples=300):
    return Resamples.draw(np.arange(n), resamples, seed=0)


def values(answers_, bins=15):
    return {name: s.value for name, s in calibration_metrics(answers_, alone(len(answers_.truth)), bins).items()}


def several(n=400, seed=0, sharp=2.0):
    """Labels that follow probabilities, and a network that is too sure by `sharp`."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3)) * 1.5
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    y = np.array([rng.choice(3, p=row) for row in p])
    q = p**sharp / (p**sharp).sum(1, keepdims=True)
    return y, q


def by_hand(confidence, right, bins):
    """The definition, decision by decision."""
    error = 0.0
    for b in range(bins):
        inside = [i for i, c in enumerate(confidence) if b / bins < c <= (b + 1) / bins]
        if inside:
            gap = np.mean([right[i] for i in inside]) - np.mean([confidence[i] for i in inside])
            error += len(inside) / len(confidence) * abs(gap)
    return error


@pytest.mark.parametrize("bins", [5, 15])
def test_several_classes_against_the_definition_and_scikit_learn(bins):
    y, q = several()
    decided = q.argmax(1)
    found = values(answers("multiclass", CLASSES, y, decided, q), bins)
    confidence, right = q.max(1), decided == y
    assert found["ece"] == pytest.approx(by_hand(confidence, right, bins))
    assert found["mean_confidence"] == pytest.approx(confidence.mean())
    assert found["overconfidence"] == pytest.approx(confidence.mean() - right.mean())
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, q, labels=[0, 1, 2], scale_by_half=False))


def test_the_curve_is_that_of_scikit_learn():
    """Their curve takes the probability of one class: here whether the decision is right, by its confidence."""
    y, q = several()
    right, confidence = q.argmax(1) == y, q.max(1)
    curve = reliability(answers("multiclass", CLASSES, y, q.argmax(1), q), alone(len(y)), bins=10)
    share, mean = calibration_curve(right, confidence, n_bins=10)
    assert [b.right.value for b in curve] == pytest.approx(share)
    assert [b.confidence for b in curve] == pytest.approx(mean)
    assert sum(b.decisions for b in curve) == len(y)
    assert all(b.low < b.confidence <= b.high for b in curve)


def test_binary_is_about_the_decision_and_brier_about_the_positive_class():
    rng = np.random.default_rng(1)
    p = rng.random(200)
    y, decided = (rng.random(200) < p).astype(int), (p > 0.3).astype(int)
    found = values(answers("binary", ("no", "yes"), y, decided, np.stack([1 - p, p], 1)))
    confidence = np.where(decided, p, 1 - p)
    assert found["mean_confidence"] == pytest.approx(confidence.mean())
    assert found["ece"] == pytest.approx(by_hand(confidence, decided == y, 15))
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, p))


def test_findings_count_each_annotated_decision():
    rng = np.random.default_rng(2)
    s = rng.random((80, 3))
    y = (rng.random((80, 3)) < s).astype(float)
    y[rng.random((80, 3)) < 0.3] = np.nan
    found, known = values(answers("multilabel", CLASSES, y, s > 0.5, s)), ~np.isnan(y)
    confidence, right = np.maximum(s, 1 - s)[known], ((s > 0.5) == (y == 1))[known]
    assert found["mean_confidence"] == pytest.approx(confidence.mean())
    assert found["ece"] == pytest.approx(by_hand(confidence, right, 15))
    assert found["brier"] == pytest.approx(((s - y)[known] ** 2).mean())


def test_a_network_that_is_too_sure_is_told_from_one_that_is_not():
    (y, honest), (same, sure) = several(4000, sharp=1.0), several(4000, sharp=3.0)
    assert (y == same).all()
    one, two = (calibration_metrics(answers("multiclass", CLASSES, y, q.argmax(1), q), drawn(4000)) for q in (honest, sure))
    assert abs(one["overconfidence"].value) < 0.03
    low, high = two["overconfidence"].limits()
    assert 0.1 < low < two["overconfidence"].value < high
    assert two["ece"].value > 0.1 > one["ece"].limits()[1]


def test_sure_and_wrong_under_attack():
    """Before the attack all right at 0.9, after it all wrong at 0.9: the confidence is the same, ECE and Brier are not."""
    y, q = np.zeros(50, int), np.tile([[0.9, 0.1]], (50, 1))
    before, after = values(answers("binary", ("no", "yes"), y, y, q)), values(answers("binary", ("no", "yes"), 1 - y, y, q))
    assert before["mean_confidence"] == pytest.approx(after["mean_confidence"])
    assert (before["ece"], after["ece"]) == (pytest.approx(0.1), pytest.approx(0.9))
    assert (before["brier"], after["brier"]) == (pytest.approx(0.01), pytest.approx(0.81))


def test_intervals_are_over_patients_and_not_empty_where_no_resample_differs():
    y, q = several(60)
    once = answers("multiclass", CLASSES, y, q.argmax(1), q)
    twice = answers("multiclass", CLASSES, np.repeat(y, 2), np.repeat(q.argmax(1), 2), np.repeat(q, 2, axis=0))
    one = calibration_metrics(once, drawn(60))["ece"].limits()
    assert calibration_metrics(twice, drawn(60).at(np.repeat(np.arange(60), 2)))["ece"].limits() == pytest.approx(one)
    certain = answers("multiclass", CLASSES, y, y, np.eye(3)[y])
    found = calibration_metrics(certain, drawn(60))
    assert found["ece"].value == 0
    assert found["ece"].limits()[1] == pytest.approx(1 - 0.025 ** (1 / 60)), "60 right answers do not prove an error of 0"
    (only,) = reliability(certain, drawn(60))
    assert only.right.limits()[0] == pytest.approx(0.025 ** (1 / 60))


def test_the_edges_belong_to_a_bin():
    q = np.array([[1.0, 0.0], [0.5, 0.5]])
    curve = reliability(answers("binary", ("no", "yes"), [0, 0], [0, 0], q), alone(2), bins=2)
    assert [(b.low, b.high, b.decisions) for b in curve] == [(0, 0.5, 1), (0.5, 1, 1)]


@pytest.mark.parametrize("scores", [None, np.full((2, 2), np.nan)])
def test_without_scores_there_is_a_reason(scores):
    found = calibration_metrics(answers("binary", ("no", "yes"), [0, 1], [0, 1], scores), alone(2))
    assert set(found) == {"ece", "mean_confidence", "overconfidence", "brier"}
    assert all(not s.defined and s.undefined == "scores that are missing or not finite" for s in found.values())
    assert reliability(answers("binary", ("no", "yes"), [0, 1], [0, 1], scores), alone(2)) == []


def test_the_interval_holds_the_value_though_resamples_repeat_images():
    """Repeating images raises the ECE by itself: of an honest network, percentiles of the resamples as they are lie above the value."""
    y, q = several(n=60, sharp=1.0)
    ece = calibration_metrics(answers("multiclass", CLASSES, y, q.argmax(1), q), drawn(60))["ece"]
    low, high = ece.limits()
    assert 0 <= low < ece.value < high
    assert ece.values[1:].mean() == pytest.approx(ece.value, abs=0.005)
