"""`robustdx audit` of binary, multi-class and multi-label networks, in colour and in grey."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from specimens import CLASSES, SIZE, fit_last_layer, one_against_rest, pixels, save_weights, write_csv, write_folder, write_npz, write_rows

from robustdx.records import read_table

THREE = [0, 1, 2] * 8
HALF = torch.full((3, 1, 1), 0.5)


def trained(images: np.ndarray, targets: torch.Tensor, path: Path) -> list[object]:
    """The flags of timm's smallest network with a last layer for these targets."""
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=targets.shape[1])
    fit_last_layer(network, images, targets, HALF, HALF)
    return ["--model", "timm:test_resnet", "--weights", save_weights(network, path), "--size", SIZE]


def audited(outcome, run: Path) -> dict:
    """results.json of a command that went well."""
    assert outcome.status == 0, outcome.err
    assert (run / "report.html").is_file()
    return json.loads((run / "results.json").read_text())


def metrics(results: dict, attack: str) -> dict:
    return next(c for c in results["cells"] if c["attack"] == attack)["metrics"]


@pytest.mark.parametrize("outputs", [1, 2])
def test_binary_networks_have_one_logit_or_two(outputs, images, specimens, robustdx, quick, tmp_path):
    """One logit is that of the second class."""
    targets = one_against_rest(CLASSES, 2)[:, -outputs:]
    flags = trained(images, targets, tmp_path / "w.safetensors")
    results = audited(robustdx("audit", quick, *flags, "--data", specimens["folder"], "--out", tmp_path / "run"), tmp_path / "run")
    assert results["data"]["kind"] == "binary"
    assert metrics(results, "clean")["accuracy"]["value"] == 1
    assert metrics(results, "clean")["sensitivity"]["value"] == 1
    assert metrics(results, "fgsm")["accuracy"]["value"] < 0.9


def test_multiclass(robustdx, quick, tmp_path):
    images = pixels(THREE)
    data = write_folder(tmp_path / "set", images, THREE)
    flags = trained(images, one_against_rest(THREE, 3), tmp_path / "w.safetensors")
    results = audited(robustdx("audit", quick, *flags, "--data", f"folder:{data}", "--out", tmp_path / "run"), tmp_path / "run")
    assert results["data"]["classes"] == ["benign", "malignant", "other"]
    assert metrics(results, "clean")["balanced_accuracy"]["value"] == 1
    assert metrics(results, "fgsm")["fooling_rate"]["value"] > 0.1
    assert "accuracy:other" in metrics(results, "fgsm")


def test_multilabel_with_findings_that_nobody_annotated(robustdx, quick, tmp_path):
    """The findings of an image are its colours; blanks in the table are neither right nor wrong."""
    images, findings = pixels(THREE), one_against_rest(THREE, 3)
    write_csv(tmp_path / "labels.csv", images, THREE)
    words = [["" if (i + k) % 5 == 0 else int(v > 0) for k, v in enumerate(row)] for i, row in enumerate(findings.tolist())]
    write_rows(tmp_path / "labels.csv", [{"image": f"i{i:03d}.png", "red": r, "blue": b, "green": g} for i, (r, b, g) in enumerate(words)])
    flags = trained(images, findings, tmp_path / "w.safetensors")
    run = tmp_path / "run"
    results = audited(robustdx("audit", quick, *flags, "--data", f"csv:{tmp_path / 'labels.csv'}", "--out", run), run)
    assert results["data"]["kind"] == "multilabel"
    assert metrics(results, "clean")["accuracy"]["value"] == 1
    assert metrics(results, "fgsm")["accuracy"]["value"] < 1
    labels = np.array(read_table(run / "cells" / "clean-all" / "records.parquet")["label"].to_pylist())
    assert np.isnan(labels).sum() == sum(word == "" for row in words for word in row)


def test_the_chest_x_ray_set(real_data, robustdx, quick, tmp_path):
    """813 images of 64 x 64 pixels with 14 findings; a network with random weights, since only the way is tested here."""
    torch.manual_seed(0)
    weights = save_weights(timm.create_model("test_resnet", num_classes=14, in_chans=1), tmp_path / "w.safetensors")
    flags = ["--model", "timm:test_resnet", "--weights", weights, "--size", 64, "--mean", "0.5", "--std", "0.25", "--images", 40]
    data, run = f"csv:{real_data / 'cxr14_multilabel_64' / 'multilabel.csv'},split=repo_split", tmp_path / "run"
    outcome = robustdx("audit", quick, *flags, "--data", data, "--out", run)
    results = audited(outcome, run)
    assert len(results["data"]["classes"]) == 14
    assert results["data"]["patients"] < results["data"]["images"]
    assert "24 patients or lesions lie in more than one split" in outcome.err
    assert "auroc:Effusion" in metrics(results, "clean")


@pytest.mark.parametrize("data", ["folder", "medmnist"])
def test_grey_networks_are_shown_grey_images(data, images, robustdx, quick, tmp_path):
    """One mean and one std say that the network takes one channel."""
    grey = images.mean(3).round().astype(np.uint8)
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=2, in_chans=1)
    weights = save_weights(network, tmp_path / "w.pth")
    if data == "folder":
        source = f"folder:{write_folder(tmp_path / 'set', grey, CLASSES)}"
    else:
        source = f"medmnist:{write_npz(tmp_path / 'set.npz', grey, np.array(CLASSES)[:, None])}"
    flags = ["--model", "timm:test_resnet", "--weights", weights, "--size", SIZE, "--mean", "0.5", "--std", "0.5", "--no-escalation"]
    run = tmp_path / "run"
    results = audited(robustdx("audit", quick, *flags, "--data", source, "--out", run), run)
    assert results["model"]["parameters"] < sum(p.numel() for p in timm.create_model("test_resnet", num_classes=2).parameters())


def test_validation_images_fix_the_operating_point(images, model, robustdx, quick, tmp_path):
    splits = ["val"] * 12 + ["test"] * 12
    table = write_csv(tmp_path / "labels.csv", images, CLASSES, splits)
    results = audited(robustdx("audit", quick, *model, "--data", f"csv:{table}", "--out", tmp_path / "run"), tmp_path / "run")
    assert results["operating_point"]["from"] == "val"
    assert results["operating_point"]["images"] == 12
    assert {(c["attack"], c["split"]) for c in results["cells"]} == {
        ("clean", "test"),
        ("fgsm", "test"),
        ("escalation", "test"),
        ("worst", "test"),
        ("clean", "val"),
    }
