"""`robustdx audit` takes every kind of model with every kind of data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from specimens import CLASSES, SIZE, fit_last_layer, one_against_rest, save_weights

from robustdx.records import read_table

IMAGENET = "0.485,0.456,0.406", "0.229,0.224,0.225"


class Normalised(torch.nn.Module):
    """A network that is shown pixels in [0, 1]."""

    def __init__(self, network: torch.nn.Module, mean: torch.Tensor, std: torch.Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network((x - self.mean) / self.std)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory, resnet: torch.nn.Module, images: np.ndarray) -> dict[str, list[object]]:
    """timm's network in five forms, and one of torchvision's: the flags that name each."""
    root = tmp_path_factory.mktemp("forms")
    x = torch.rand(2, 3, SIZE, SIZE)
    mean, std = (torch.tensor([float(v) for v in text.split(",")]).view(3, 1, 1) for text in IMAGENET)
    shuffle = fit_last_layer(
        torchvision.models.shufflenet_v2_x0_5(weights=None, num_classes=2), images, one_against_rest(CLASSES, 2), mean, std
    )
    whole = Normalised(resnet, torch.tensor(0.5), torch.tensor(0.5)).eval()
    batch = torch.export.Dim("batch", min=1, max=1024)
    torch.export.save(torch.export.export(whole, (x,), dynamic_shapes=({0: batch},)), root / "program.pt2")
    torch.jit.trace(whole, x).save(root / "script.pt")
    weights = save_weights(resnet, root / "own.pth")
    (root / "clinic_network.py").write_text(
        "import timm, torch\n"
        "def network(num_classes):\n"
        "    made = timm.create_model('test_resnet', num_classes=num_classes)\n"
        f"    made.load_state_dict(torch.load({str(weights)!r}))\n"
        "    return made.eval()\n"
    )
    size = ["--size", SIZE]
    return {
        "safetensors": ["--model", "timm:test_resnet", "--weights", save_weights(resnet, root / "own.safetensors"), *size],
        "state dict": ["--model", "timm:test_resnet", "--weights", weights, *size],
        "torchvision": ["--model", "torchvision:shufflenet_v2_x0_5", "--weights", save_weights(shuffle, root / "shuffle.pth"), *size],
        "exported program": ["--model", root / "program.pt2", "--trust-code"],
        "TorchScript": ["--model", root / "script.pt", "--trust-code", *size],
        "callable": ["--model", "clinic_network:network", "--trust-code", *size, "--mean", ".5,.5,.5", "--std", ".5,.5,.5"],
        "root": [root],
    }


@pytest.mark.parametrize("data", ["folder", "csv", "medmnist"])
@pytest.mark.parametrize("form", ["safetensors", "state dict", "torchvision", "exported program", "TorchScript", "callable"])
def test_every_pair_gives_a_report(form, data, forms, specimens, robustdx, quick, tmp_path, monkeypatch):
    monkeypatch.chdir(forms["root"][0])
    run = tmp_path / "run"
    outcome = robustdx("audit", quick, *forms[form], "--data", specimens[data], "--out", run)
    assert outcome.status == 0, outcome.err
    assert (run / "report.html").stat().st_size > 10_000
    results = json.loads((run / "results.json").read_text())
    cells = {cell["attack"]: cell for cell in results["cells"]}
    assert set(cells) == {"clean", "fgsm", "escalation", "worst"}
    assert {cell["images"] for cell in cells.values()} == {len(CLASSES)}
    assert cells["clean"]["patients"] == (None if data == "medmnist" else 12)
    assert cells["clean"]["metrics"]["accuracy"]["value"] >= 0.9 > cells["worst"]["metrics"]["accuracy"]["value"]
    if form != "torchvision":
        assert scores(run) == pytest.approx(SAME.setdefault("scores", scores(run)), abs=1e-4)


SAME: dict[str, list[float]] = {}
"""Probabilities of the first run: one network and the same images give the same answers in every form."""


def scores(run: Path) -> list[float]:
    """The probability of malignant for each clean image, in order."""
    folder = next((run / "cells").glob("clean-*"))
    return sorted(row[1] for row in read_table(folder / "records.parquet")["clean_scores"].to_pylist())
