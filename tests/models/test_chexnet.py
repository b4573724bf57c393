"""CheXNet: the published checkpoint's names, sigmoids inside, and logits for the attacks."""

import re

import pytest
import torch

from robustdx.errors import WeightsError
from robustdx.models import ModelSpec, load
from robustdx.models.chexnet import CheXNet

FINDINGS = ("Atelectasis", "Cardiomegaly", "Effusion")
X = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return CheXNet(3).eval()


@pytest.fixture
def published(network, tmp_path):
    """A checkpoint as it was published: torchvision's names of 2017, within DataParallel, beside an epoch and an optimiser."""
    old = {"module." + re.sub(r"(norm|conv)([12])[.]", r"\1.\2.", k): v for k, v in network.state_dict().items()}
    assert "module.densenet121.features.denseblock1.denselayer1.norm.1.weight" in old
    assert "module.densenet121.classifier.0.weight" in old
    torch.save({"epoch": 7, "state_dict": old, "best_loss": 0.1, "optimizer": {"state": {}}}, tmp_path / "model.pth.tar")
    return tmp_path / "model.pth.tar"


def test_the_published_checkpoint_fits(published, network):
    model = load(ModelSpec(source="chexnet", weights=str(published), size=64), "multilabel", FINDINGS)
    assert model.outputs == "probabilities"
    shown = (X - model.mean) / model.std
    torch.testing.assert_close(model.task.probabilities(model(X)), network(shown), atol=1e-5, rtol=1e-4)


def test_gradients_go_past_the_sigmoid(published):
    model = load(ModelSpec(source="chexnet", weights=str(published), size=64), "multilabel", FINDINGS)
    x = X.clone().requires_grad_()
    (grad,) = torch.autograd.grad(model.task.loss(model(x), torch.ones(2, 3)).sum(), x)
    assert grad.abs().amax() > 0


def test_another_number_of_findings_is_told(published):
    with pytest.raises(WeightsError, match="3 outputs, the data has classes for 2"):
        load(ModelSpec(source="chexnet", weights=str(published), size=64), "multilabel", FINDINGS[:2])
