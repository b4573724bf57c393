"""The command line, called as a person calls it, and small specimens to call it on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from specimens import (
    CLASSES,
    SIZE,
    Command,
    Outcome,
    fit_last_layer,
    one_against_rest,
    pixels,
    save_weights,
    write_csv,
    write_folder,
    write_npz,
)

from robustdx.cli import main


@pytest.fixture
def robustdx(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """`robustdx("audit", "--model", ...)` in this process, which spares the seconds that loading torch takes."""

    def call(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["robustdx", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfd.readouterr()
        return Outcome(int(end.value.code or 0), out, err)

    return call


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return pixels(CLASSES)


@pytest.fixture(scope="session")
def specimens(tmp_path_factory: pytest.TempPathFactory, images: np.ndarray) -> dict[str, str]:
    """The same 24 images of two classes as a folder, a CSV and a MedMNIST-style npz, in the words of --data."""
    root = tmp_path_factory.mktemp("specimens")
    folder = write_folder(root / "folder", images, CLASSES)
    table = write_csv(root / "table" / "labels.csv", images, CLASSES)
    arrays = write_npz(root / "arrays.npz", images, np.array(CLASSES)[:, None])
    return {
        "folder": rf"folder:{folder},patient=(P\d+)_",
        "csv": f"csv:{table}",
        "medmnist": f"medmnist:{arrays},classes=benign+malignant",
    }


@pytest.fixture(scope="session")
def resnet(images: np.ndarray) -> torch.nn.Module:
    """timm's smallest network, which tells the two classes apart."""
    torch.manual_seed(0)
    config = timm.get_pretrained_cfg("test_resnet")
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (config.mean, config.std))
    return fit_last_layer(timm.create_model("test_resnet", num_classes=2), images, one_against_rest(CLASSES, 2), mean, std)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory, resnet: torch.nn.Module) -> Path:
    """Its weights as safetensors."""
    return save_weights(resnet, tmp_path_factory.mktemp("weights") / "model.safetensors")


@pytest.fixture(scope="session")
def model(weights: Path) -> list[object]:
    """The flags that name it."""
    return ["--model", "timm:test_resnet", "--weights", weights, "--size", SIZE]


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """What is left of a plan when the flags name model and data: few redraws, one attack, one eps."""
    path = tmp_path / "quick.toml"
    path.write_text('bootstrap = 100\npictures = 1\neps = ["32/255"]\nattacks = [{ name = "fgsm" }]\nprecision = "float32"\n')
    return path
