"""Decision metrics equal scikit-learn's, in the set and in every resample."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from robustdx.metrics import Resamples, accuracy_metrics, answers

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
CLASSES = ("a", "b", "c", "d")


def alone(n):
    """Every image its own patient, no resamples."""
    return Resamples(np.ones((1, n), np.int32), np.arange(n))


def values(answers_, resamples=None):
    found = accuracy_metrics(answers_, resamples or alone(len(answers_.truth)))
    return {name: statistic.value for name, statistic in found.items()}


def same(ours, theirs):
    assert ours == pytest.approx(theirs, abs=1e-12, nan_ok=True)


def check_multiclass(y, d):
    found = values(answers("multiclass", CLASSES, y, d))
    same(found["accuracy"], sk.accuracy_score(y, d))
    same(found["balanced_accuracy"], np.mean(sk.recall_score(y, d, labels=sorted(set(y)), average=None)))
    for name, theirs in {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}.items():
        same(found[name], theirs(y, d, average="macro", zero_division=0))
        each = theirs(y, d, labels=range(4), average=None, zero_division=np.nan)
        for k, label in enumerate(CLASSES):
            same(found[f"{name}:{label}"], each[k])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_one_class_of_several(pairs):
    check_multiclass(*(list(column) for column in zip(*pairs, strict=True)))


def test_a_class_that_does_not_occur_and_one_that_is_never_decided():
    check_multiclass([0, 0, 1, 1, 2], [0, 1, 1, 0, 0])


def test_accuracy_of_a_class_is_the_share_of_its_images_decided_right():
    found = values(answers("multiclass", CLASSES, [0, 0, 0, 1], [0, 0, 1, 1]))
    same(found["accuracy:a"], 2 / 3)
    assert np.isnan(found["accuracy:d"])


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60))
def test_binary_is_about_the_positive_class(pairs):
    y, d = (np.array(column) for column in zip(*pairs, strict=True))
    found = values(answers("binary", ("no", "yes"), y, d))
    same(found["accuracy"], sk.accuracy_score(y, d))
    same(found["balanced_accuracy"], np.mean(sk.recall_score(y, d, labels=sorted(set(y.tolist())), average=None)))
    for name, theirs in {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}.items():
        same(found[name], theirs(y, d, zero_division=np.nan))
    assert {n for n in found if ":" in n} == {"accuracy:no", "accuracy:yes"}


def findings(seed, n=80, k=4, missing=0.2):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (n, k)).astype(float)
    y[rng.random((n, k)) < missing] = np.nan
    return y, rng.integers(0, 2, (n, k))


@pytest.mark.parametrize("seed", range(5))
def test_findings_count_where_they_are_annotated(seed):
    y, d = findings(seed)
    found, known = values(answers("multilabel", CLASSES, y, d)), ~np.isnan(y)
    same(found["accuracy"], sk.accuracy_score(y[known], d[known]))
    same(found["exact_match"], np.mean([np.array_equal(t[a], p[a]) for t, p, a in zip(y, d, known, strict=True)]))
    by = {
        "accuracy": sk.accuracy_score,
        "balanced_accuracy": sk.balanced_accuracy_score,
        "precision": sk.precision_score,
        "recall": sk.recall_score,
        "f1": sk.f1_score,
    }
    for name, theirs in by.items():
        each = [theirs(y[known[:, k], k], d[known[:, k], k]) for k in range(4)]
        for k, label in enumerate(CLASSES):
            same(found[f"{name}:{label}"], each[k])
        if name != "accuracy":
            same(found[name], np.mean(each))


def test_fully_annotated_findings_equal_scikit_learns_multi_label_scores():
    y, d = findings(0, missing=0)
    found = values(answers("multilabel", CLASSES, y, d))
    same(found["exact_match"], sk.accuracy_score(y.astype(int), d))
    same(found["accuracy"], 1 - sk.hamming_loss(y.astype(int), d))
    for name, theirs in {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}.items():
        same(found[name], theirs(y.astype(int), d, average="macro"))


def test_an_image_without_any_annotation_counts_nowhere():
    y, d = findings(1)
    more = np.vstack([y, np.full((3, 4), np.nan)]), np.vstack([d, np.ones((3, 4), int)])
    assert values(answers("multilabel", CLASSES, *more)) == pytest.approx(values(answers("multilabel", CLASSES, y, d)), abs=1e-12)


def test_every_resample_equals_scikit_learn_on_the_drawn_images():
    rng = np.random.default_rng(0)
    patients = rng.integers(0, 12, 50)
    patients[:12] = range(12)
    y, d = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    draws = rng.integers(0, 12, (20, 12))
    found = accuracy_metrics(answers("multiclass", CLASSES, y, d), Resamples.of(draws, patients))
    for i, drawn in enumerate(draws, start=1):
        images = np.concatenate([np.flatnonzero(patients == p) for p in drawn])
        same(found["accuracy"].values[i], sk.accuracy_score(y[images], d[images]))
        for name, theirs in {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}.items():
            same(found[name].values[i], theirs(y[images], d[images], average="macro", zero_division=0))
        same(found["f1:b"].values[i], sk.f1_score(y[images], d[images], labels=[1], average=None, zero_division=np.nan)[0])
