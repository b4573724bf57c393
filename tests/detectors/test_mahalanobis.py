"""Distances equal scikit-learn's, and what does not fit is refused in words."""

import numpy as np
import pytest
import torch
from sklearn.covariance import EmpiricalCovariance, ShrunkCovariance

from robustdx.data.in_memory import from_torch
from robustdx.detectors import Mahalanobis
from robustdx.detectors.mahalanobis import gaussians, nearest
from robustdx.errors import DataError, ModelError, PlanError, WeightsError
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiLabel
from tests.detectors.conftest import DRAWS, Colours, images


def sample():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    mix, centres = rng.normal(size=(6, 6)), 3 * rng.normal(size=(3, 6))
    return centres[y] + rng.normal(size=(200, 6)) @ mix, y


@pytest.mark.parametrize("shrinkage", [0.0, 0.1])
def test_the_distance_is_that_of_scikit_learn(shrinkage):
    f, y = sample()
    means = np.stack([f[y == c].mean(0) for c in range(3)])
    estimator = ShrunkCovariance(shrinkage=shrinkage, assume_centered=True) if shrinkage else EmpiricalCovariance(assume_centered=True)
    estimator.fit(f - means[y])
    wanted = np.min([estimator.mahalanobis(f - m) for m in means], axis=0)
    found = nearest(torch.tensor(f).float(), *gaussians(torch.tensor(f).float(), torch.tensor(y), shrinkage))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-3)


def test_directions_without_variance_do_not_count():
    f, y = sample()
    flat = np.hstack((f, f[:, :1], np.ones((200, 1))))
    found, wanted = (nearest(t, *gaussians(t, torch.tensor(y), 0.0)) for t in (torch.tensor(flat).float(), torch.tensor(f).float()))
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-2)


def test_an_image_of_no_class_stands_out(model, data, tmp_path):
    detector = Mahalanobis(layers=("features.0", "head")).fit(model, data, DRAWS, out=tmp_path / "m")
    x = images(6, 1)[0]
    assert detector(model, torch.ones_like(x), DRAWS).min() > detector(model, x, DRAWS).max()


def test_findings_that_may_be_true_together_share_one_gaussian(tmp_path):
    x, _ = images(20, 0)
    data = from_torch([(image, torch.tensor([i % 2, 1.0])) for i, image in enumerate(x)], classes=("a", "b"), task="multilabel")
    torch.manual_seed(0)
    network = Colours()
    network.head = torch.nn.Linear(5, 2)
    model = DiagnosticModel(network, MultiLabel(("a", "b")), size=x.shape[2:]).eval()
    assert Mahalanobis().fit(model, data, DRAWS, out=tmp_path / "m")(model, x[:6], DRAWS).isfinite().all()


def test_what_does_not_fit_is_refused(model, data, x, tmp_path):
    with pytest.raises(PlanError, match=r"no layer named 'feature\.0': did you mean features\.0"):
        Mahalanobis(layers=("feature.0",)).fit(model, data, DRAWS, out=tmp_path / "m")
    with pytest.raises(DataError, match="expected clean images for a detector to learn from, found none"):
        Mahalanobis().fit(model, data.only("nowhere"), DRAWS, out=tmp_path / "m")
    with pytest.raises(PlanError, match="shrinkage must lie in"):
        Mahalanobis(shrinkage=2.0)
    fitted = Mahalanobis().fit(model, data, DRAWS, out=tmp_path / "m")
    other = DiagnosticModel(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(x[0].numel(), 3)), model.task, size=model.size)
    with pytest.raises(PlanError, match="was fitted to 5 features, the network has 864"):
        fitted(other, x, DRAWS)
    with pytest.raises(ModelError, match="no such layer has run"):
        Mahalanobis().fit(DiagnosticModel(NoLayers(), model.task, size=model.size), data, DRAWS, out=tmp_path / "n")


class NoLayers(torch.nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def test_a_file_says_whose_it_is_and_how_it_was_made(model, data, tmp_path):
    path = str(tmp_path / "m")
    fitted = Mahalanobis(shrinkage=0.2).fit(model, data, DRAWS, out=path)
    assert Mahalanobis(weights=path) == fitted
    with pytest.raises(PlanError, match=r"was trained with shrinkage = 0\.2, got shrinkage = 0\.3"):
        Mahalanobis(shrinkage=0.3, weights=path)
    with pytest.raises(WeightsError, match="the file has changed"):
        Mahalanobis(weights=path, sha256="0" * 64)
    with pytest.raises(PlanError, match="expected weights beside sha256"):
        Mahalanobis(sha256="0" * 64)
    with pytest.raises(PlanError, match="cannot read"):
        Mahalanobis(weights=path + "x")
    (tmp_path / "m").write_bytes(b"something else")
    with pytest.raises(WeightsError, match="no safetensors file"):
        Mahalanobis(weights=path)
