"""Noise has the distribution that it says."""

import numpy as np
import pytest
import torch
from scipy import stats

from robustdx.draws import Draws
from robustdx.perturbations.photons import photons
from robustdx.perturbations.sequences import GaussianNoise, ShotNoise, SpeckleNoise

GREY = torch.full((2, 3, 64, 64), 0.5)


def second(sequence, x, draws):
    return list(sequence.frames(x, 2, draws))[1]


def test_gaussian_noise_is_the_same_at_every_pixel(draws):
    noise = (second(GaussianNoise(), GREY, draws) - GREY).flatten().numpy()
    assert stats.kstest(noise / 0.03, "norm").pvalue > 0.001


def test_speckle_noise_is_in_proportion_to_the_light(draws):
    for light in (0.2, 0.6):
        x = torch.full_like(GREY, light)
        noise = (second(SpeckleNoise(), x, draws) - x).flatten().numpy()
        assert stats.kstest(noise / (0.05 * light), "norm").pvalue > 0.001
    assert not second(SpeckleNoise(), torch.zeros_like(GREY), draws).any()


@pytest.mark.parametrize("light", [0.01, 0.1, 0.5, 0.7])
def test_shot_noise_counts_photons(draws, light):
    x = torch.full_like(GREY, light)
    counts = (second(ShotNoise(), x, draws) * 300).flatten()
    torch.testing.assert_close(counts, counts.round(), atol=1e-3, rtol=0)
    assert float(counts.mean()) == pytest.approx(300 * light, rel=0.02)
    assert float(counts.var()) == pytest.approx(300 * light, rel=0.05)


@pytest.mark.parametrize("mean", [0.05, 1.0, 4.2, 9.99, 10.0, 12.5, 60.0, 300.0])
def test_photons_have_the_distribution_of_poisson(mean):
    """200,000 of them against scipy's probabilities, in bins of at least 50 expected."""
    n = 200_000
    found = photons(torch.full((2, n // 2), mean), Draws(0, ("a", "b"))).flatten().numpy()
    values = np.arange(int(stats.poisson.ppf(1 - 1e-9, mean)) + 2)
    wanted = n * stats.poisson.pmf(values, mean)
    common = wanted >= 50
    counts = np.bincount(found.astype(int), minlength=len(values))[: len(values)]
    observed = [*counts[common], n - counts[common].sum()]
    expected = [*wanted[common], n - wanted[common].sum()]
    if expected[-1] < 5:
        observed, expected = [*observed[:-2], sum(observed[-2:])], [*expected[:-2], sum(expected[-2:])]
    assert stats.chisquare(observed, expected).pvalue > 1e-4


def test_no_light_no_photons():
    mean = torch.tensor([[0.0, 0.0, 5.0, 50.0]])
    found = photons(mean, Draws(0, ("a",)))
    assert found[0, :2].tolist() == [0, 0]
    assert (found >= 0).all()
