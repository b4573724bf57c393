"""Percentile intervals over patients equal scipy's; where no resample differs, exact ones stand in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from robustdx.metrics import Resamples, Statistic, accuracy_metrics, answers, clopper_pearson, intervals, ranking_metrics


def labelled(n=300, seed=0):
    """Labels, and scores that tell them apart somewhat."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    s = np.round(0.25 * y + 0.5 * rng.random(n), 2)
    return y, s, (s > 0.4).astype(int)


def ours(y, s, d, resamples):
    seen = answers("binary", ("no", "yes"), y, d, np.stack([1 - s, s], 1))
    return accuracy_metrics(seen, resamples) | ranking_metrics(seen, resamples)


THEIRS = {
    "accuracy": lambda y, s, d: sk.accuracy_score(y, d),
    "f1": lambda y, s, d: sk.f1_score(y, d),
    "auroc_macro": lambda y, s, d: sk.roc_auc_score(y, s),
    "average_precision": lambda y, s, d: sk.average_precision_score(y, s),
}


class Replayed(np.random.Generator):
    """Hands scipy the same drawn indices that we took."""

    def __init__(self, draws):
        super().__init__(np.random.PCG64(0))
        self.rows = draws

    def integers(self, *args, **kwargs):
        return self.rows


@pytest.mark.parametrize("name", THEIRS)
def test_equal_to_scipy_given_the_same_draws(name):
    data = labelled(80)
    draws = np.random.default_rng(1).integers(0, 80, (200, 80))
    low, high = ours(*data, Resamples.of(draws, np.arange(80)))[name].limits()
    theirs = stats.bootstrap(
        data,
        lambda y, s, d: THEIRS[name](y, s, d),
        n_resamples=200,
        paired=True,
        vectorized=False,
        method="percentile",
        rng=Replayed(draws),
    )
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=1e-12)


@pytest.mark.parametrize("name", ["accuracy", "auroc_macro"])
def test_close_to_scipy_with_draws_of_its_own(name):
    data = labelled()
    low, high = ours(*data, Resamples.draw(np.arange(300), 4000, seed=0))[name].limits()
    theirs = stats.bootstrap(
        data, THEIRS[name], n_resamples=1000, paired=True, vectorized=False, method="percentile", rng=5
    ).confidence_interval
    assert (low, high) == pytest.approx(tuple(theirs), abs=0.2 * (theirs.high - theirs.low))


def test_images_of_one_patient_are_drawn_together():
    """Ten copies of every image make no interval narrower when they are one patient's."""
    y, s, d = labelled(60)
    single = ours(y, s, d, Resamples.draw(np.arange(60), 500, seed=0))
    copied = ours(*(np.repeat(a, 10) for a in (y, s, d)), Resamples.draw(np.repeat(np.arange(60), 10), 500, seed=0))
    for name in THEIRS:
        assert copied[name].limits() == pytest.approx(single[name].limits(), abs=1e-12)


def test_the_first_row_is_the_set_itself_and_every_resample_draws_as_many_patients():
    drawn = Resamples.draw([0, 0, 1, 2], 50, seed=3)
    assert drawn.counts[0].tolist() == [1, 1, 1]
    assert (drawn.counts.sum(1) == 3).all()
    assert not (drawn.counts[1:] == 1).all()


def test_the_same_seed_draws_the_same_patients():
    assert np.array_equal(Resamples.draw(np.arange(9), 20, seed=1).counts, Resamples.draw(np.arange(9), 20, seed=1).counts)
    assert not np.array_equal(Resamples.draw(np.arange(9), 20, seed=1).counts, Resamples.draw(np.arange(9), 20, seed=2).counts)


@given(st.integers(1, 400), st.data())
def test_clopper_pearson_equals_scipys(n, data):
    k = data.draw(st.integers(0, n))
    theirs = stats.binomtest(k, n).proportion_ci(0.95, "exact")
    assert clopper_pearson(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_none_right_of_500_patients_is_not_a_certainty():
    found = accuracy_metrics(answers("multiclass", "abc", np.arange(500) % 2, np.full(500, 2)), Resamples.draw(np.arange(500), 200, seed=0))
    assert found["accuracy"].limits() == pytest.approx((0, 0.00735), abs=1e-5)
    assert found["accuracy:a"].limits() == pytest.approx(clopper_pearson(0, 250))
    assert found["balanced_accuracy"].limits() == pytest.approx(clopper_pearson(0, 250))


def test_the_exact_interval_counts_patients_and_not_images():
    resamples = Resamples.draw(np.arange(500) // 10, 200, seed=0)
    found = accuracy_metrics(answers("binary", ("no", "yes"), np.arange(500) % 2, np.arange(500) % 2), resamples)
    assert found["accuracy"].limits() == pytest.approx(clopper_pearson(50, 50))


def test_a_perfect_ranking_is_bounded_through_pairs_that_share_no_patient():
    y = np.arange(100) < 20
    found = ours(y.astype(int), y.astype(float), y.astype(int), Resamples.draw(np.arange(100), 200, seed=0))
    assert found["auroc_macro"].limits() == pytest.approx(clopper_pearson(20, 20))
    assert found["average_precision"].limits() == pytest.approx(clopper_pearson(20, 20))


def test_f1_of_nothing_right_is_bounded_through_the_share_of_right_ones():
    y = np.arange(100) % 2
    found = accuracy_metrics(answers("binary", ("no", "yes"), y, 1 - y), Resamples.draw(np.arange(100), 200, seed=0))
    high = clopper_pearson(0, 100)[1]
    assert found["f1"].limits() == pytest.approx((0, 2 * high / (1 + high)))


def test_resamples_without_a_meaning_are_left_out_of_the_percentiles():
    statistic = Statistic(np.array([0.5, np.nan, 0.4, 0.6, np.nan]))
    assert statistic.limits() == pytest.approx((0.405, 0.595))


def test_memory_is_bounded_by_the_block(monkeypatch):
    monkeypatch.setattr(intervals, "BLOCK", 1000)
    sizes = [weights.size for _, weights in Resamples.draw(np.arange(100), 95, seed=0).blocks(np.arange(100))]
    assert max(sizes) <= 1000
    assert sum(sizes) == 96 * 100
