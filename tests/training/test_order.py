"""Which images an epoch shows: rare classes more often, every image of a class in its turn."""

from collections import Counter

import numpy as np
import pytest

from robustdx.data import Dataset, Example
from robustdx.training.order import Order, classes_of, quotas

NAN = float("nan")


def dataset(*counts: int) -> Dataset:
    labels = [k for k, n in enumerate(counts) for _ in range(n)]
    examples = [Example(str(i), label) for i, label in enumerate(labels)]
    return Dataset("cards", tuple("abc"[: len(counts)]), "multiclass", examples, lambda *a: np.zeros((1, 1, 1), np.uint8))


def shown(order: Order, epoch: int, size: int = 10) -> list[int]:
    return [s.index for batch in order.batches(epoch, size) for s in batch]


def test_without_balancing_an_epoch_shows_every_image_once():
    order = Order(dataset(90, 9, 1), seed=0, sampling=0, weighting=0)
    assert sorted(shown(order, 0)) == list(range(100))
    assert shown(order, 0) != shown(order, 1)
    assert order.weights.tolist() == pytest.approx([1.0] * 100)


@pytest.mark.parametrize(("sampling", "counts"), [(1.0, [34, 33, 33]), (0.5, [70, 23, 7])])
def test_sampling_shows_rare_classes_more_often(sampling, counts):
    order = Order(dataset(90, 9, 1), seed=0, sampling=sampling, weighting=0)
    seen = Counter(0 if i < 90 else 1 if i < 99 else 2 for i in shown(order, 0))
    assert [seen[c] for c in range(3)] == pytest.approx(counts, abs=1)
    assert sum(seen.values()) == 100


@pytest.mark.parametrize(("sampling", "weighting"), [(1, 0), (0.5, 0.5), (0, 1)])
def test_both_powers_together_balance_the_loss_fully(sampling, weighting):
    order = Order(dataset(90, 9, 9), seed=0, sampling=sampling, weighting=weighting)
    total = Counter()
    for i in shown(order, 0):
        total[0 if i < 90 else 1 if i < 99 else 2] += float(order.weights[i])
    assert sum(total.values()) == pytest.approx(108, rel=0.01)
    assert [total[c] for c in range(3)] == pytest.approx([36, 36, 36], rel=0.06)


def test_no_image_is_shown_again_before_its_class_was_shown_whole():
    order = Order(dataset(40, 10), seed=0, sampling=1, weighting=0)
    common = [i for epoch in range(8) for i in shown(order, epoch) if i < 40]
    assert set(Counter(common).values()) == {5}


def test_each_showing_of_an_image_is_counted():
    order = Order(dataset(40, 10), seed=0, sampling=1, weighting=0)
    times = [s.times for epoch in range(4) for batch in order.batches(epoch, 10) for s in batch if s.index == 45]
    assert sorted(times) == list(range(10))


def test_no_small_batch_is_left_over():
    order = Order(dataset(69), seed=0, sampling=0, weighting=0)
    assert [len(batch) for batch in order.batches(0, 16)] == [17, 17, 17, 18]
    assert [len(batch) for batch in order.batches(0, 100)] == [69]


def test_the_seed_decides():
    orders = [Order(dataset(40, 10), seed=seed, sampling=0.5, weighting=0) for seed in (0, 0, 1)]
    assert shown(orders[0], 3) == shown(orders[1], 3) != shown(orders[2], 3)


def test_quotas_add_up_and_leave_no_class_out():
    assert quotas({0: 1e6, 1: 1.0, 2: 1.0}, 10) == {0: 8, 1: 1, 2: 1}


def test_an_image_with_several_findings_counts_as_its_rarest():
    labels = [(1.0, 1.0, 0.0), (1.0, 0.0, NAN), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)]
    examples = [Example(str(i), label) for i, label in enumerate(labels)]
    findings = Dataset("cards", ("a", "b", "c"), "multilabel", examples, lambda *a: np.zeros((1, 1, 1), np.uint8))
    assert classes_of(findings) == [1, 0, 3, 0]


def test_the_effective_number_stands_between_no_balance_and_all():
    """Cui et al. 2019: weights are (1 - b) / (1 - b^n); large classes count alike, small ones as many as they are."""
    order = Order(dataset(900, 90, 9), seed=0, sampling=0, weighting=1, effective=0.99)
    whole = {c: sum((0.99**i for i in range(n)), 0.0) for c, n in enumerate((900, 90, 9))}
    weights = [float(order.weights[i]) for i in (0, 900, 990)]
    assert [weights[c] / weights[0] for c in range(3)] == pytest.approx([whole[0] / whole[c] for c in range(3)])
    assert len(shown(order, 0)) == len(set(shown(order, 0))) == 999
