"""`robustdx.audit`: any network and any torch data set in memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

import robustdx
from robustdx.errors import DataError, ImageError, ModelError, PlanError, RobustdxError, RunError

SIZE = 16
LABELS = [0, 1, 2] * 8
QUICK = {"attacks": ["fgsm"], "eps": ["64/255"], "bootstrap": 100, "precision": "float32"}


def images(labels: list[int] = LABELS) -> Tensor:
    """(N, 3, 16, 16) in [0, 1], on the 8-bit grid: the class is the brightest colour."""
    noise = torch.rand((len(labels), 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    return ((noise * 100 + 100 * nn.functional.one_hot(torch.tensor(labels), 3)[:, :, None, None]).round() / 255).clamp(0, 1)


class Brightest(nn.Module):
    """Logits: how much brighter each colour is than the others; so many outputs."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(8 * (torch.eye(3) - 1 / 3)[:outputs])

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) @ self.weight.T


class Photos(Dataset):
    """What a hospital's own data set may look like: Pillow images and class numbers."""

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        return Image.fromarray((images()[i].permute(1, 2, 0) * 255).round().byte().numpy()), LABELS[i]


def pairs(labels: list[int] = LABELS) -> TensorDataset:
    return TensorDataset(images(labels), torch.tensor(labels))


def cell(results: dict, attack: str) -> dict:
    return next(c for c in results["cells"] if c["attack"] == attack)


def accuracy(results: dict, attack: str) -> float:
    return cell(results, attack)["metrics"]["accuracy"]["value"]


def test_a_network_and_a_torch_data_set_in_memory(tmp_path):
    told = []
    results = robustdx.audit(Brightest(), pairs(), out=tmp_path / "run", progress=lambda *what: told.append(what), **QUICK)
    assert accuracy(results, "clean") == 1
    assert accuracy(results, "fgsm") < 1
    assert results["data"]["kind"] == "multiclass"
    assert results == json.loads((tmp_path / "run" / "results.json").read_text())
    assert (tmp_path / "run" / "report.html").is_file()
    assert told[-1] == ("escalation at 64/255", 72, 72)


def test_pillow_images_give_the_same_numbers(tmp_path):
    found = [robustdx.audit(Brightest(), d, out=tmp_path / str(i), **QUICK)["cells"] for i, d in enumerate((pairs(), Photos()))]
    assert [c["metrics"] for c in found[0]] == [c["metrics"] for c in found[1]]


@pytest.mark.parametrize("outputs", [1, 2])
def test_binary_with_one_logit_or_two(outputs, tmp_path):
    class TwoColours(Brightest):
        def forward(self, x: Tensor) -> Tensor:
            z = super().forward(x)
            return z[:, 1:2] - z[:, :1] if outputs == 1 else z[:, :2]

    results = robustdx.audit(TwoColours(), pairs([0, 1] * 12), out=tmp_path / "run", classes=["benign", "malignant"], **QUICK)
    assert results["data"]["kind"] == "binary"
    assert accuracy(results, "clean") == 1
    assert cell(results, "clean")["metrics"]["sensitivity"]["value"] == 1


def test_multilabel_with_findings_that_nobody_annotated(tmp_path):
    labels = nn.functional.one_hot(torch.tensor(LABELS), 3).float()
    labels[0, 1] = torch.nan
    results = robustdx.audit(Brightest(), TensorDataset(images(), labels), out=tmp_path / "run", classes=["r", "g", "b"], **QUICK)
    assert results["data"]["kind"] == "multilabel"
    assert "accuracy:g" in cell(results, "fgsm")["metrics"]


def test_normalisation_size_and_probabilities(tmp_path):
    """The same network, wrapped: it wants normalised images, and ends in a softmax."""

    class Wrapped(Brightest):
        def forward(self, x: Tensor) -> Tensor:
            return (super().forward(x * 0.25 + 0.5) * 4).softmax(1)

    plain = robustdx.audit(Brightest(), pairs(), out=tmp_path / "plain", **QUICK)
    words = {"mean": np.full(3, 0.5), "std": [0.25] * 3, "outputs": "probabilities"}
    other = robustdx.audit(Wrapped(), pairs(), out=tmp_path / "other", **words, **QUICK)
    assert accuracy(other, "fgsm") == accuracy(plain, "fgsm")
    assert robustdx.audit(Brightest(), pairs(), out=tmp_path / "size", size=8, **QUICK)["model"]["size"] == [8, 8]


def test_grey_images_are_shown_in_one_channel(tmp_path):
    class Bright(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[1] == 1
            return 10 * (x.mean((1, 2, 3))[:, None] - 0.5)

    grey = torch.cat((torch.full((6, 1, 8, 8), 0.25), torch.full((6, 1, 8, 8), 0.75)))
    results = robustdx.audit(Bright(), TensorDataset(grey, torch.arange(12) // 6), out=tmp_path / "run", **QUICK)
    assert accuracy(results, "clean") == 1


def test_a_model_as_it_is_brings_its_task_and_its_classes(tmp_path):
    model = robustdx.DiagnosticModel(Brightest(), robustdx.MultiClass(("red", "green", "blue")), size=(SIZE, SIZE))
    results = robustdx.audit(model, pairs(), out=tmp_path / "run", **QUICK)
    assert results["data"]["classes"] == ["red", "green", "blue"]
    assert "accuracy:blue" in cell(results, "clean")["metrics"]


def test_a_data_set_of_ours(tmp_path):
    data = robustdx.load_dataset("synthetic,images=20")
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    results = robustdx.audit(network, data, out=tmp_path / "run", size=16, split="all", **QUICK)
    assert results["data"]["images"] == 20
    assert results["data"]["patients"] is not None


def test_intervals_are_drawn_over_patients(tmp_path):
    results = robustdx.audit(Brightest(), pairs(), patients=[i // 4 for i in range(24)], out=tmp_path / "run", **QUICK)
    assert cell(results, "clean")["patients"] == 6
    assert results["intervals"]["over"] == "patients"


def test_attacks_by_name_as_tables_or_as_they_are(tmp_path):
    attacks = ["fgsm", {"name": "bim", "steps": 2}, robustdx.PGD(steps=2, restarts=2)]
    results = robustdx.audit(Brightest(), pairs(), out=tmp_path / "run", **(QUICK | {"attacks": attacks}))
    assert [c["attack"] for c in results["cells"]] == ["clean", "bim", "escalation", "fgsm", "pgd", "worst"]
    assert cell(results, "pgd")["settings"]["restarts"] == 2


def test_the_network_is_left_as_it_was(tmp_path):
    network = Brightest().train()
    before = network.weight.clone()
    robustdx.audit(network, pairs(), out=tmp_path / "run", **QUICK)
    assert network.training
    assert network.weight.requires_grad
    assert network.weight.grad is None
    assert torch.equal(network.weight, before)


def test_called_again_it_does_nothing(tmp_path):
    results = [robustdx.audit(Brightest(), pairs(), out=tmp_path / "run", **QUICK) for _ in range(2)]
    assert results[0] == results[1]
    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    robustdx.audit(Brightest(), pairs(), out=tmp_path / "run", **QUICK)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == written


@pytest.mark.parametrize("change", ["weights", "images", "mean", "purifier"])
def test_a_folder_belongs_to_what_was_audited_in_it(change, tmp_path):
    robustdx.audit(Brightest(), pairs(), out=tmp_path / "run", **QUICK)
    network, data, words = Brightest(), pairs(), dict(QUICK)
    if change == "weights":
        nn.init.ones_(network.weight)
    if change == "images":
        data = TensorDataset(1 - images(), torch.tensor(LABELS))
    if change == "mean":
        words |= {"mean": [0.1] * 3, "std": [1.0] * 3}
    if change == "purifier":
        plain = robustdx.DiagnosticModel(network, robustdx.MultiClass(("0", "1", "2")), size=(SIZE, SIZE))
        network = robustdx.Defended(plain, lambda x, draws: x)
    with pytest.raises(RunError, match="another plan"):
        robustdx.audit(network, data, out=tmp_path / "run", **words)


class Silent(Brightest):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.one_hot(super().forward(x).argmax(1), 3).float()


class Undecided(Brightest):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.nan


REFUSED = {
    "images outside [0, 1]": (Brightest(), TensorDataset(images() * 5 - 2, torch.tensor(LABELS)), {}, ImageError, r"in \[0, 1\], got \[-2"),
    "images that are not numbers": (Brightest(), TensorDataset(images() * torch.nan, torch.tensor(LABELS)), {}, ImageError, "nan"),
    "no images": (Brightest(), TensorDataset(torch.zeros(0, 3, 4, 4), torch.zeros(0)), {}, DataError, "empty"),
    "a data set without a length": (Brightest(), iter([]), {}, DataError, "a length and an index"),
    "images without labels": (Brightest(), TensorDataset(images()), {}, DataError, r"expected \(image, label\)"),
    "a class count that does not fit": (Brightest(2), pairs(), {}, ModelError, r"expects outputs of shape \(B, 3\).*gives \(\d+, 2\)"),
    "class names that do not fit": (Brightest(), pairs(), {"classes": ["a", "b"]}, DataError, "expected 3 class names"),
    "a task that does not fit": (Brightest(), pairs(), {"task": "multilabel"}, DataError, "multilabel"),
    "no such task": (Brightest(), pairs(), {"task": "detection"}, PlanError, "'detection'"),
    "too few patients": (Brightest(), pairs(), {"patients": [1, 2]}, DataError, "one patient for each of 24 images, got 2"),
    "a misspelt setting": (Brightest(), pairs(), {"atacks": ["pgd"]}, PlanError, "did you mean attacks"),
    "an unknown attack": (Brightest(), pairs(), {"attacks": ["pdg"]}, PlanError, "did you mean pgd"),
    "outputs that mean nothing": (Brightest(), pairs(), {"outputs": "scores"}, PlanError, "logits, probabilities"),
    "mean without std": (Brightest(), pairs(), {"mean": [0.5] * 3}, PlanError, "both mean and std"),
    "no gradient": (Silent(), pairs(), {"escalation": False}, ModelError, "gradient"),
    "NaN outputs": (Undecided(), pairs(), {}, ModelError, "NaN"),
    "another size than the network takes": (nn.Sequential(nn.Flatten(), nn.Linear(3, 3)), pairs(), {}, ModelError, "another size"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_leave_nothing_behind(case, tmp_path):
    network, data, words, error, told = REFUSED[case]
    with pytest.raises(error, match=told) as refusal:
        robustdx.audit(network, data, out=tmp_path / "run", **(QUICK | words))
    assert isinstance(refusal.value, RobustdxError)
    assert not Path(tmp_path / "run").exists()
