"""What lies in the span of the components costs nothing; what lies outside costs its length."""

import pytest
import torch

from robustdx.detectors import ReconstructionError
from robustdx.detectors.reconstruction import components, patches, residual
from robustdx.errors import PlanError
from tests.detectors.conftest import DRAWS


def test_the_fewest_components_that_reach_the_share():
    covariance = torch.diag(torch.tensor([1.0, 6.0, 3.0]))
    assert components(covariance, 0.5).abs().tolist() == [[0, 1, 0]]
    assert components(covariance, 0.8).abs().tolist() == [[0, 1, 0], [0, 0, 1]]
    assert len(components(covariance, 0.95)) == 3


def test_only_what_is_outside_the_span_counts():
    basis, mean = torch.eye(4)[:2], torch.full((4,), 0.5)
    flat = (mean + torch.tensor([3.0, -1.0, 0.0, 0.0])).expand(1, 5, 4).clone()
    assert float(residual(flat, mean, basis)) == pytest.approx(0, abs=1e-5)
    assert float(residual(flat + torch.tensor([0, 0, 0.2, 0]), mean, basis)) == pytest.approx((0.04 / 4) ** 0.5)


def test_every_pixel_lies_in_a_patch():
    x = torch.arange(2 * 3 * 10 * 7).view(2, 3, 10, 7).float()
    found = patches(x, 4)
    assert found.shape == (2, 6, 48)
    assert set(x.unique().tolist()) == set(found.unique().tolist())


def test_noise_stands_out(model, data, x, tmp_path):
    detector = ReconstructionError(patch=4, kept=0.5).fit(model, data, DRAWS, out=tmp_path / "r")
    noisy = (x + DRAWS.uniform(-0.1, 0.1, like=x)).clamp(0, 1)
    assert (detector(model, noisy, DRAWS) > detector(model, x, DRAWS)).all()


def test_what_does_not_fit_is_refused(model, data, x, tmp_path):
    with pytest.raises(PlanError, match="kept between 0 and 1"):
        ReconstructionError(kept=1.0)
    fitted = ReconstructionError().fit(model, data, DRAWS, out=tmp_path / "r")
    with pytest.raises(PlanError, match="other channels"):
        fitted(model, x[:, :1], DRAWS)
