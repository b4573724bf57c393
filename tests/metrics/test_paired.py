"""Paired tests against scipy's and statsmodels', and against all the ways to swap."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from robustdx.errors import DataError
from robustdx.metrics.paired import holm, mcnemar, permutation_test

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n", [1, 5, 30, 400])
def test_mcnemar_is_the_binomial_test_of_the_images_that_differ(n):
    a, b = RNG.integers(0, 2, n), RNG.integers(0, 2, n)
    won, differ = int((a > b).sum()), int((a != b).sum())
    found = mcnemar(a, b)
    assert found.p == pytest.approx(stats.binomtest(won, differ, 0.5).pvalue if differ else 1.0, rel=1e-9)
    assert found.decisive == differ
    assert found.difference == pytest.approx(a.mean() - b.mean())


@pytest.mark.parametrize("n", [20, 200])
def test_mcnemar_is_statsmodels_exact_one(n):
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    a, b = RNG.integers(0, 2, n), RNG.integers(0, 2, n)
    table = [[((a == i) & (b == j)).sum() for j in (0, 1)] for i in (0, 1)]
    assert mcnemar(a, b).p == pytest.approx(tables.mcnemar(table, exact=True).pvalue, rel=1e-9)


def test_two_that_agree_differ_in_nothing():
    a = RNG.integers(0, 2, 30)
    for test in (mcnemar, permutation_test):
        assert (test(a, a).difference, test(a, a).p, test(a, a).decisive) == (0.0, 1.0, 0)


def test_permutation_over_few_patients_is_every_way_to_swap():
    a, b, patients = RNG.normal(size=25), RNG.normal(size=25), RNG.integers(0, 8, 25)
    sums = [(a - b)[patients == g].sum() for g in np.unique(patients)]
    ways = [abs(np.dot(signs, sums)) >= abs(sum(sums)) - 1e-9 for signs in product((1, -1), repeat=len(sums))]
    assert permutation_test(a, b, list(patients)).p == pytest.approx(np.mean(ways))


def test_permutation_of_independent_images_is_scipy_s():
    a, b = RNG.normal(size=12), RNG.normal(0.4, size=12)
    theirs = stats.permutation_test((a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf)
    assert permutation_test(a, b).p == pytest.approx(theirs.pvalue)


def test_permutation_of_right_and_wrong_is_mcnemar():
    """One image for each patient: the two tests ask the same of the same images."""
    a, b = RNG.integers(0, 2, 300), RNG.random(300) < 0.58
    assert permutation_test(a, b, resamples=20_000).p == pytest.approx(mcnemar(a, b).p, abs=0.01)


def test_images_of_one_patient_are_not_many_witnesses():
    a, b = np.ones(40), np.r_[np.zeros(20), np.ones(20)]
    assert mcnemar(a, b).p < 1e-5
    assert permutation_test(a, b, ["one"] * 20 + ["others"] * 20).p == 1.0


def test_under_no_difference_p_values_are_spread_evenly():
    p = [permutation_test(RNG.normal(size=30), RNG.normal(size=30), resamples=400).p for _ in range(300)]
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_the_same_seed_gives_the_same_p():
    a, b = RNG.normal(size=50), RNG.normal(size=50)
    assert permutation_test(a, b, seed=3) == permutation_test(a, b, seed=3)
    assert permutation_test(a, b, seed=3) != permutation_test(a, b, seed=4)


def test_holm_multiplies_the_smallest_most():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def test_holm_is_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = RNG.random(20) ** 3
    assert holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mcnemar([0.5, 1], [0, 1]), "take permutation_test"),
        (lambda: mcnemar([0, 1], [1]), "in both"),
        (lambda: permutation_test([0, np.nan], [0, 1]), "NaN"),
        (lambda: permutation_test([0, 1], [1, 0], ["a"]), "one patient for each of 2 images"),
        (lambda: holm([0.1, 1.2]), r"p-values in \[0, 1\]"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, words):
    with pytest.raises(DataError, match=words):
        call()
