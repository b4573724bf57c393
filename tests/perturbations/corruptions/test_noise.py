"""Noise against the distributions that it is drawn from."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, poisson

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.perturbations import SEVERITIES
from robustdx.perturbations.corruptions import GaussianNoise, ImpulseNoise, ShotNoise, SpeckleNoise

DRAWS = Draws(0, ("a", "b"))
GREY = torch.full((2, 3, 64, 64), 128 / 255)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_shot_noise_counts_photons_as_poisson_does(severity):
    photons = ShotNoise().photons[severity - 1]
    x = torch.full((2, 3, 100, 100), 51 / 255)
    counts = (ShotNoise()(x, severity, DRAWS) * photons).round().numpy().ravel()
    most = min(int(poisson.ppf(0.999, photons / 5)), photons)  # no brighter than white
    seen = np.bincount(counts.astype(int), minlength=most + 1)
    seen = [*seen[:most], seen[most:].sum()]
    expected = [*poisson.pmf(range(most), photons / 5), poisson.sf(most - 1, photons / 5)]
    assert chisquare(seen, np.array(expected) * counts.size).pvalue > 1e-3


def test_shot_noise_of_black_is_black_and_each_level_has_its_own_mean():
    assert not ShotNoise()(torch.zeros(2, 3, 8, 8), 5, DRAWS).any()
    for level in (10, 100, 200):
        noisy = ShotNoise(photons=(60,) * 5)(torch.full((2, 3, 100, 100), level / 255), 1, DRAWS)
        assert float(noisy.mean()) == pytest.approx(level / 255, abs=0.004)


@pytest.mark.parametrize("method", [GaussianNoise(), SpeckleNoise()], ids=["gaussian", "speckle"])
@pytest.mark.parametrize("severity", [1, 2])
def test_normal_noise_has_the_deviation_of_its_table(method, severity):
    noisy = method(GREY, severity, DRAWS)
    share = 128 / 255 if isinstance(method, SpeckleNoise) else 1
    assert float(noisy.std()) == pytest.approx(method.sigma[severity - 1] * share, rel=0.02)
    assert float(noisy.mean()) == pytest.approx(128 / 255, abs=0.003)


def test_impulse_noise_loses_its_share_half_of_it_white_and_more_where_some_was_lost():
    lost = [ImpulseNoise()(GREY, severity, DRAWS) for severity in SEVERITIES]
    for noisy, amount in zip(lost, ImpulseNoise().amount, strict=True):
        assert float((noisy != GREY).float().mean()) == pytest.approx(amount, abs=0.01)
        assert float((noisy == 1).float().mean()) == pytest.approx(amount / 2, abs=0.007)
    for less, more in pairwise(lost):
        assert ((less != GREY) <= (more != GREY)).all(), "severities share their pixels"


def test_tables_that_mean_nothing_are_refused_in_words():
    with pytest.raises(PlanError, match="sigma needs 5 values, one for each severity, got 2"):
        GaussianNoise(sigma=(0.1, 0.2))
    with pytest.raises(PlanError, match="photons must lie between 1 and 10000, got 0"):
        ShotNoise(photons=(60, 25, 12, 5, 0))
    with pytest.raises(PlanError, match=r"amount must lie between 0 and 1, got 1\.5"):
        ImpulseNoise(amount=(0.1, 0.2, 0.3, 0.4, 1.5))
    with pytest.raises(PlanError, match="sigma must lie at 0 or above, got nan"):
        SpeckleNoise(sigma=(0.1, 0.2, 0.3, 0.4, float("nan")))
