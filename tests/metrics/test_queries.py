"""How many queries it takes."""

import numpy as np
import pytest

from robustdx.metrics.queries import query_curve


def test_a_broken_image_counts_from_its_last_query_on():
    curve = query_curve([5, 20, 100], [True, True, False], [0, 4, 5, 19, 20, 10_000])
    assert curve == pytest.approx([0, 0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])


def test_what_was_wrong_before_is_broken_for_nothing():
    assert query_curve([0, 7], [True, True], [0, 7]) == pytest.approx([0.5, 1])


def test_it_never_falls_and_ends_at_the_share_of_broken_images():
    rng = np.random.default_rng(0)
    took, broken = rng.integers(1, 500, 60), rng.random(60) < 0.6
    curve = query_curve(took, broken, np.arange(500))
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == pytest.approx(broken.mean())
    assert curve.tolist() == [(broken & (took <= n)).mean() for n in range(500)]


def test_without_images_there_is_no_share():
    assert np.isnan(query_curve([], [], [1, 2])).all()


def test_numbers_and_verdicts_belong_together():
    with pytest.raises(ValueError, match="one number of queries and one verdict"):
        query_curve([1, 2], [True], [1])
