"""AUROC and average precision equal scikit-learn's: with ties, with weights, with classes that are missing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from robustdx.metrics import Resamples, answers, intervals, ranking_metrics

CLASSES = ("a", "b", "c", "d")


def alone(n):
    """Every image its own patient, no resamples."""
    return Resamples(np.ones((1, n), np.int32), np.arange(n))


def values(answers_):
    return {name: statistic.value for name, statistic in ranking_metrics(answers_, alone(len(answers_.truth))).items()}


def same(ours, theirs):
    assert ours == pytest.approx(theirs, abs=1e-12, nan_ok=True)


def tied(rng, *shape):
    """Scores as a network gives them, in float32, many of them equal."""
    return (rng.integers(0, 8, shape) / 7).astype(np.float32)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=50).filter(lambda p: len({y for y, _ in p}) == 2))
def test_binary_with_ties(pairs):
    y, s = (np.array(column, float) for column in zip(*pairs, strict=True))
    found = values(answers("binary", ("no", "yes"), y, y, np.stack([5 - s, s], 1) / 5))
    same(found["auroc_macro"], sk.roc_auc_score(y, s))
    same(found["auroc_micro"], sk.roc_auc_score(y, s))
    same(found["average_precision"], sk.average_precision_score(y, s))
    assert set(found) == {"auroc_macro", "auroc_micro", "average_precision"}


@pytest.mark.parametrize("seed", range(5))
def test_one_class_of_several_against_the_rest(seed):
    rng = np.random.default_rng(seed)
    y, s = rng.integers(0, 4, 90), tied(rng, 90, 4)
    found, truth = values(answers("multiclass", CLASSES, y, y, s)), np.eye(4)[y]
    same(found["auroc_macro"], sk.roc_auc_score(truth, s, average="macro"))
    same(found["auroc_micro"], sk.roc_auc_score(truth, s, average="micro"))
    same(found["average_precision"], sk.average_precision_score(truth, s, average="macro"))
    for k, label in enumerate(CLASSES):
        same(found[f"auroc:{label}"], sk.roc_auc_score(truth[:, k], s[:, k]))
        same(found[f"average_precision:{label}"], sk.average_precision_score(truth[:, k], s[:, k]))


def test_a_class_that_does_not_occur_is_left_out_of_the_mean_and_named():
    rng = np.random.default_rng(0)
    y, s = rng.integers(0, 3, 60), tied(rng, 60, 4)
    found = ranking_metrics(answers("multiclass", CLASSES, y, y, s), alone(60))
    same(found["auroc_macro"].value, sk.roc_auc_score(np.eye(4)[y][:, :3], s[:, :3], average="macro"))
    assert not found["auroc:d"].defined
    assert found["auroc:d"].undefined == "no image of d"


@pytest.mark.parametrize("seed", range(5))
def test_findings_are_ranked_over_the_images_annotated_for_them(seed):
    rng = np.random.default_rng(seed)
    y, s = rng.integers(0, 2, (80, 4)).astype(float), tied(rng, 80, 4)
    y[rng.random((80, 4)) < 0.3] = np.nan
    found, known = values(answers("multilabel", CLASSES, y, s > 0.5, s)), ~np.isnan(y)
    areas = [sk.roc_auc_score(y[known[:, k], k], s[known[:, k], k]) for k in range(4)]
    same(found["auroc_macro"], np.mean(areas))
    same(found["auroc_micro"], sk.roc_auc_score(y[known], s[known]))
    same(found["average_precision"], np.mean([sk.average_precision_score(y[known[:, k], k], s[known[:, k], k]) for k in range(4)]))
    same(found["auroc:c"], areas[2])


def test_with_one_class_only_nothing_is_ranked():
    found = ranking_metrics(answers("binary", ("no", "yes"), [1, 1], [1, 1], [[0.5, 0.5], [0.1, 0.9]]), alone(2))
    assert not any(statistic.defined for statistic in found.values())
    assert "no class has both" in found["auroc_macro"].undefined


def test_scores_that_are_not_finite_are_not_ranked():
    scores = [[0.5, 0.5], [np.nan, np.nan], [0.1, 0.9]]
    found = ranking_metrics(answers("binary", ("no", "yes"), [0, 1, 1], [0, 1, 1], scores), alone(3))
    assert not found["auroc_macro"].defined


@pytest.mark.parametrize("block", [1, 100, 10**6])
def test_every_resample_equals_scikit_learn_on_the_drawn_images(block, monkeypatch):
    monkeypatch.setattr(intervals, "BLOCK", block)
    rng = np.random.default_rng(0)
    patients, y, s = rng.integers(0, 15, 60), rng.integers(0, 3, 60), tied(rng, 60, 3)
    patients[:15] = range(15)
    draws = rng.integers(0, 15, (20, 15))
    found = ranking_metrics(answers("multiclass", CLASSES[:3], y, y, s), Resamples.of(draws, patients))
    for i, drawn in enumerate(draws, start=1):
        images = np.concatenate([np.flatnonzero(patients == p) for p in drawn])
        truth, scores = np.eye(3)[y[images]], s[images]
        same(found["auroc_macro"].values[i], sk.roc_auc_score(truth, scores, average="macro"))
        same(found["auroc_micro"].values[i], sk.roc_auc_score(truth, scores, average="micro"))
        same(found["average_precision"].values[i], sk.average_precision_score(truth, scores, average="macro"))


@given(st.integers(0, 10**6))
def test_a_rising_transform_of_the_scores_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    y, s = np.arange(30) % 2, tied(rng, 30)
    first, second = (values(answers("binary", ("no", "yes"), y, y, np.stack([1 - t, t], 1))) for t in (s, np.exp(3 * s)))
    assert first == pytest.approx(second, abs=1e-12)
