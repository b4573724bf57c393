"""Resubmission: a model that draws anew each time counts as broken if it gives way once."""

import pytest
import torch
from torch import nn

import robustdx
from robustdx.data.in_memory import from_torch
from robustdx.errors import PlanError
from robustdx.models import Averaged, Defended, DiagnosticModel
from robustdx.tasks import MultiClass

SIZE, CLASSES = 6, tuple("abc")
SETTINGS = {
    "eps": ["2/255"],
    "attacks": [{"name": "pgd", "steps": 4}],
    "bootstrap": 100,
    "precision": "float32",
    "escalation": False,
    "pictures": 0,
}


def pixels(n: int = 40) -> torch.Tensor:
    return torch.randint(60, 196, (n, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def noisy(x, draws):
    return (x + draws.uniform(-0.15, 0.15, like=x)).clamp(0, 1)


def model(stochastic: bool = True) -> DiagnosticModel:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 3))
    with torch.no_grad():
        network[1].bias -= network(pixels().float() / 255).mean(0)
    plain = DiagnosticModel(network, MultiClass(CLASSES), size=(SIZE, SIZE)).eval()
    return Defended(plain, noisy) if stochastic else plain


def data():
    labels = model(False)(pixels().float() / 255).argmax(1)
    return from_torch([(image, int(y)) for image, y in zip(pixels(), labels, strict=True)], CLASSES, "multiclass")


def accuracies(out, stochastic=True, **plan):
    found = robustdx.audit(model(stochastic), data(), out=out, **{**SETTINGS, **plan})
    return [next(c for c in found["cells"] if c["attack"] == name)["metrics"]["accuracy"]["value"] for name in ("clean", "pgd")]


def test_the_more_often_it_is_handed_in_the_more_often_it_breaks_and_clean_images_are_handed_in_once(tmp_path):
    (clean, once), (also_clean, often) = accuracies(tmp_path / "1"), accuracies(tmp_path / "20", submissions=20)
    assert clean == also_clean
    assert often < once - 0.1


def test_a_deterministic_model_answers_the_same_however_often(tmp_path):
    assert accuracies(tmp_path / "1", False) == accuracies(tmp_path / "5", False, submissions=5)


def test_images_may_be_crafted_on_the_average_of_a_stochastic_model(tmp_path):
    """EOT in an audit: the average as a surrogate of its own model."""
    alone = accuracies(tmp_path / "one", eps=["8/255"])
    averaged = accuracies(tmp_path / "average", eps=["8/255"], surrogates=[Averaged(model(), 16)])
    assert averaged[0] == alone[0]
    assert averaged[1] <= alone[1] + 0.05


def test_never_is_refused(tmp_path):
    with pytest.raises(PlanError, match="submissions must be at least 1, got 0"):
        accuracies(tmp_path / "run", submissions=0)
