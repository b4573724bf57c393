"""Certificates out of votes, beside scipy.stats and beside what is known in closed form."""

import numpy as np
import pytest
from scipy import stats

from robustdx.errors import PlanError
from robustdx.metrics import Resamples
from robustdx.metrics.certificate import (
    ABSTAIN,
    Certificate,
    certified_accuracy,
    certify,
    largest_radius,
    lower_bound,
    predict,
    radius,
    share_of,
)

ALPHA = 0.001
RNG = np.random.default_rng(0)


def cohens_certify(selected, estimated, sigma, alpha):
    """CERTIFY for one image, by another route."""
    leading = int(np.argmax(selected))
    hits, draws = int(estimated[leading]), int(np.sum(estimated))
    bound = stats.binomtest(hits, draws, alternative="greater").proportion_ci(1 - alpha, method="exact").low
    return (leading, sigma * stats.norm.ppf(bound)) if bound > 0.5 else (ABSTAIN, 0.0)


def cohens_predict(votes, alpha):
    """PREDICT for one image, by another route."""
    second, first = np.sort(votes)[-2:]
    return int(np.argmax(votes)) if stats.binomtest(int(first), int(first + second), 0.5).pvalue <= alpha else ABSTAIN


@pytest.fixture(scope="module")
def votes():
    shares = RNG.dirichlet([0.4, 0.3, 0.2], 200)
    return np.stack([RNG.multinomial(20, p) for p in shares]), np.stack([RNG.multinomial(400, p) for p in shares])


def test_certificates_are_cohens(votes):
    found = certify(*votes, sigma=0.25, alpha=ALPHA)
    expected = [cohens_certify(s, e, 0.25, ALPHA) for s, e in zip(*votes, strict=True)]
    assert found.decisions.tolist() == [c for c, _ in expected]
    np.testing.assert_allclose(found.radii, [r for _, r in expected], rtol=1e-10)
    assert 0 < (found.decisions == ABSTAIN).mean() < 1


def test_predictions_are_cohens(votes):
    close = np.array([[k, 400 - k, 0] for k in range(0, 401, 5)])
    for counts in (votes[1], close):
        assert predict(counts, ALPHA).tolist() == [cohens_predict(c, ALPHA) for c in counts]


def test_the_bound_fails_as_seldom_as_it_says():
    """100,000 simulated counts for each share of votes: above the truth at most 0.1 % of the time, up to 4 standard errors of chance."""
    simulated, chance = 100_000, 4 * np.sqrt(ALPHA * (1 - ALPHA) / 100_000)
    for draws, truth in [(100, 0.5), (100, 0.97), (1000, 0.51), (1000, 0.9), (1000, 0.999), (100_000, 0.6)]:
        hits = RNG.binomial(draws, truth, simulated)
        assert (lower_bound(hits, draws, ALPHA) > truth).mean() <= ALPHA + chance


@pytest.mark.parametrize("draws", [10, 100, 1000])
def test_its_coverage_is_never_below_by_exact_summation(draws):
    counts = np.arange(draws + 1)
    bounds = lower_bound(counts, draws, ALPHA)
    for truth in np.linspace(0.01, 0.999, 97):
        assert stats.binom.pmf(counts, draws, truth)[bounds > truth].sum() <= ALPHA * (1 + 1e-9)


def test_it_abstains_near_the_boundary():
    even = certify([[50, 50], [80, 20]], [[505, 495], [540, 460]], sigma=1.0, alpha=ALPHA)
    assert even.decisions.tolist() == [ABSTAIN, ABSTAIN]
    assert even.radii.tolist() == [0.0, 0.0]
    assert certify([60, 40], [600, 400], sigma=1.0, alpha=ALPHA).decisions == 0
    assert predict([[505, 495], [600, 400]], ALPHA).tolist() == [ABSTAIN, 0]


def test_the_class_is_that_of_the_selection_even_where_the_estimate_says_another():
    assert certify([60, 40], [100, 900], sigma=1.0, alpha=ALPHA).decisions == ABSTAIN


def test_all_in_agreement_gives_the_largest_radius_and_too_few_draws_give_none():
    assert certify([0, 100], [0, 1000], 0.5, ALPHA).radii == pytest.approx(largest_radius(1000, 0.5, ALPHA))
    assert largest_radius(1000, 0.5, ALPHA) == pytest.approx(0.5 * stats.norm.ppf(ALPHA ** (1 / 1000)))
    assert largest_radius(9, 0.5, ALPHA) == 0.0
    assert largest_radius(10, 0.5, ALPHA) > 0
    assert radius(0.5, 3.0) == 0


def test_accuracy_falls_with_the_radius_and_counts_what_was_annotated():
    certificate = Certificate(np.array([[0, 1], [1, ABSTAIN], [1, 1]]), np.array([[0.3, 0.1], [0.2, 0.0], [0.5, 0.4]]), np.zeros((3, 2)))
    labels = [[0, 1], [0, 1], [1, np.nan]]
    resamples = Resamples.draw([0, 1, 2], 200, seed=0)
    curve, length = certified_accuracy(certificate, labels, [0, 0.1, 0.3, 0.5], resamples)
    assert [s.value for s in curve] == [3 / 5, 2 / 5, 1 / 5, 0]
    assert length.value == pytest.approx((0.3 + 0.1 + 0.5) / 5)
    assert share_of(certificate.decisions == ABSTAIN, labels, resamples).value == 1 / 5
    assert curve[0].limits()[0] < 3 / 5 < curve[0].limits()[1]
    assert curve[3].limits() == pytest.approx((0, 1 - 0.025 ** (1 / 3))), "nothing certified: the exact interval of three patients"


@pytest.mark.parametrize("alpha", [0, 1, -0.1, float("nan")])
def test_alpha_is_a_probability(alpha):
    with pytest.raises(PlanError, match="alpha must lie between 0 and 1"):
        lower_bound(9, 10, alpha)
