"""What `robustdx harden` makes is a model to audit; what it refuses is one sentence and leaves nothing behind."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
import torch
from specimens import CLASSES, save_weights, write_folder

from robustdx.errors import RunError
from robustdx.models import CNN, DiagnosticModel, ModelSpec, save
from robustdx.tasks import Binary

DATA = ["--data", "synthetic,task=binary,images=60"]
BARE = ["--model", "cnn", "--size", 16]
SMALL = [*BARE, "--epochs", 1, "--batch-size", 16]


@pytest.fixture
def folder(tmp_path: Path, robustdx) -> Path:
    """A run of `robustdx harden`, which has said how to audit it."""
    outcome = robustdx("harden", *SMALL, *DATA, "--objective", "madry,steps=1", "--eps", "2/255", "--out", tmp_path / "hardened")
    assert outcome.status == 0, outcome.err
    assert f"robustdx audit --model {tmp_path / 'hardened'}" in outcome.out
    return tmp_path / "hardened"


def test_a_network_is_trained_and_its_folder_is_a_model(robustdx, quick, folder, tmp_path):
    assert json.loads((folder / "curve.json").read_text())["chosen"] == 1
    outcome = robustdx("audit", quick, "--model", folder, *DATA, "--out", tmp_path / "audit")
    assert outcome.status == 0, outcome.err
    assert json.loads((tmp_path / "audit" / "results.json").read_text())["data"]["split"] == "test"


REFUSED = {
    "no model": (DATA, "expected the key model"),
    "no such objective": ([*SMALL, *DATA, "--objective", "madri"], "did you mean madry?"),
    "no epochs": ([*SMALL, *DATA, "--epochs", "0"], "epochs above 0"),
    "a learning rate that is none": ([*SMALL, *DATA, "--learning-rate", "fast"], "learning_rate: expected a number"),
    "a learning rate of nothing": ([*SMALL, *DATA, "--learning-rate", "0"], "learning_rate must be above 0"),
    "no such judge": ([*SMALL, *DATA, "--judge", "pdg"], "did you mean pgd?"),
    "a start that is not there": ([*SMALL, *DATA, "--start", "nowhere"], "nowhere is neither"),
    "no such device": ([*SMALL, *DATA, "--device", "gpu"], "expected a device"),
    "no such network": (["--model", "timm:resnet81", *SMALL[2:], *DATA], "did you mean resnet"),
    "a program": (["--model", "no.pt2", *SMALL[2:], *DATA], "there is no model"),
    "no such recipe": ([*BARE, *DATA, "--recipe", "manual", "--budget", "1m"], "there is no recipe 'manual'"),
    "a recipe without a budget": ([*BARE, *DATA, "--recipe", "auto"], "give --budget 20m"),
    "a budget of nothing known": ([*BARE, *DATA, "--budget", "soon"], "expected a time such as 20m or 2h"),
    "a budget too short": ([*BARE, *DATA, "--budget", "1GFLOP"], "too short for one epoch of these images: give at least --budget"),
    "what a recipe chooses": ([*BARE, *DATA, "--budget", "1m", "--objective", "trades"], "a recipe chooses objective by itself"),
    "no such data": ([*SMALL, "--data", "folder:/nowhere"], "/nowhere, which is not there"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_one_sentence_and_leave_nothing_behind(case, robustdx, tmp_path):
    words, told = REFUSED[case]
    outcome = robustdx("harden", *words, "--out", tmp_path / "run")
    assert outcome.status == 2, outcome.err
    assert outcome.err.startswith("robustdx: ")
    assert outcome.err.count("\n") == 1
    assert told in outcome.err
    assert not (tmp_path / "run").exists()


def test_an_image_that_cannot_be_read_leaves_nothing_behind(robustdx, specimens, tmp_path, images):
    root = write_folder(tmp_path / "set", images, CLASSES)
    for file in sorted(root.rglob("*.png"))[:12]:  # half of them: at least one belongs to training
        file.write_bytes(b"")
    outcome = robustdx("harden", *SMALL, "--data", f"folder:{root}", "--out", tmp_path / "run")
    assert outcome.status == 2
    assert "an empty file" in outcome.err
    assert not (tmp_path / "run").exists()


def test_a_disk_that_fills_up(robustdx, tmp_path):
    """At the checkpoint or at the last weights: with room again the same command goes on to the end."""
    words = ["harden", *SMALL, *DATA, "--out", tmp_path / "run"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))  # no file may grow beyond it
    try:
        outcome = robustdx(*words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert outcome.status == 2, outcome.err
    assert "File too large" in outcome.err
    assert not list((tmp_path / "run").rglob("*.part"))
    assert robustdx(*words).status == 0
    assert (tmp_path / "run" / "manifest.json").is_file()


def test_weights_that_do_not_fit_on_the_disk(tmp_path):
    model = DiagnosticModel(CNN(2, channels=3), Binary(), size=(16, 16))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(RunError, match=r"cannot write .*File too large"):
            save(model, ModelSpec(source="cnn", size=16), tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "model").iterdir()) == []


def test_a_start_with_code_in_it(robustdx, tmp_path):
    save_weights(torch.nn.Linear(1, 1), tmp_path / "w.pth")
    torch.save({"state_dict": {}, "hook": pytest.raises}, tmp_path / "w.pth")
    outcome = robustdx("harden", *SMALL, *DATA, "--start", tmp_path / "w.pth", "--out", tmp_path / "run")
    assert outcome.status == 2
    assert "carries code" in outcome.err
    assert not (tmp_path / "run").exists()


def test_an_audit_does_not_go_into_the_folder_of_a_training(robustdx, quick, model, specimens, folder):
    outcome = robustdx("audit", quick, *model, "--data", specimens["folder"], "--out", folder)
    assert outcome.status == 2
    assert "holds the run of another plan" in outcome.err
