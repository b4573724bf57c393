"""What `robustdx harden` leaves: cards, curve, plan and a quick audit; and `robustdx audit --model RUN` takes it as it is."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

import robustdx.cli.audit
import robustdx.cli.harden
import robustdx.cli.report  # noqa: F401  (registers the commands)
from robustdx import hardening
from robustdx.cli import app
from robustdx.cli.epochs import Bar
from robustdx.data import load_dataset
from robustdx.errors import ModelError
from robustdx.training.order import classes_of

SMALL = ["--size", "16", "--epochs", "1", "--batch-size", "16"]
OUTPUTS = {"README.md", "data_card.md", "curve.png", "curve.csv", "curve.json", "plan.toml", "run.json", "model.safetensors", "model.json"}


def call(*words: object) -> str:
    result = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """Photographs in class folders by split, patients in their names; those of test are no images at all."""
    root, dataset = tmp_path_factory.mktemp("data") / "scans", load_dataset("synthetic,task=binary,images=90")
    for n, (example, k) in enumerate(zip(dataset.examples, classes_of(dataset), strict=True)):
        path = root / str(example.split) / dataset.classes[k] / f"{example.patient}_{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if example.split == "test":
            path.write_bytes(b"whoever opens this fails")
        else:
            Image.fromarray(dataset.read(example, (16, 16), 3)).save(path)
    return root


@pytest.fixture(scope="module")
def data(scans) -> list[str]:
    return ["--data", rf"folder:{scans},patient=(.+)_\d+"]


@pytest.fixture(scope="module")
def plain(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("plain") / "run"
    call("harden", "--model", "cnn", *data, *SMALL, "--no-audit", "--out", out)
    return out


@pytest.fixture(scope="module")
def hardened(plain, data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("hardened") / "run"
    told = call(
        "harden", "--model", "cnn", *data, *SMALL, "--objective", "madry,steps=1", "--judge", "fgsm", "--start", plain, "--out", out
    )
    assert "A quick audit on validation images" in told
    return out


def test_everything_is_there_and_test_images_were_not_opened(hardened):
    assert {p.name for p in hardened.iterdir()} >= OUTPUTS
    audited = json.loads((hardened / "audit" / "results.json").read_text())
    assert audited["data"]["split"] == "val"
    assert {c["attack"] for c in audited["cells"]} == {"clean", "fgsm", "pgd", "worst"}
    assert {c["eps"] for c in audited["cells"]} == {0.0, 2 / 255}
    assert audited["plan"]["images"] == hardening.IMAGES == 200


def test_the_audit_at_the_end_compares_with_the_start(hardened, plain):
    card = (hardened / "README.md").read_text()
    assert f"Before: the network that training started from, {plain}." in card
    assert "| balanced accuracy, L∞ 2/255 |" in card
    assert "Before and after hardening" in (hardened / "audit" / "report.html").read_text()
    ids = [json.loads((hardened / "audit" / place / "plan.json").read_text())["images_key"] for place in (".", "before")]
    assert ids[0] == ids[1]  # the very same images


def test_the_card_can_be_run(hardened, monkeypatch):
    monkeypatch.chdir(hardened.parent)
    (code,) = re.findall(r"```python\n(.*?)```", (hardened / "README.md").read_text(), re.DOTALL)
    found: dict = {}
    exec(code, found)
    assert found["probabilities"].shape[0] == 1


def test_timm_loads_the_weights_without_us(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call("harden", "--model", "timm:resnet10t", "--size", "32", *data, *SMALL[2:], "--no-audit", "--out", "run")
    code = re.findall(r"```python\n(.*?)```", (tmp_path / "run" / "README.md").read_text(), re.DOTALL)[1]
    found: dict = {}
    exec(code, found)
    assert torch.equal(found["network"].state_dict()["conv1.0.weight"], load_file("run/model.safetensors")["conv1.0.weight"])


def test_a_second_start_does_nothing_and_a_lost_card_is_written_again(hardened, plain, data):
    again = [
        "harden",
        "--model",
        "cnn",
        *data,
        *SMALL,
        "--objective",
        "madry,steps=1",
        "--judge",
        "fgsm",
        "--start",
        plain,
        "--out",
        hardened,
    ]
    card = (hardened / "README.md").read_bytes()
    (hardened / "README.md").unlink()  # as if the process had died before its last step
    assert not call(*again).startswith("Nothing to do")
    assert (hardened / "README.md").read_bytes() == card
    assert call(*again).startswith("Nothing to do")


def test_the_plan_makes_the_same_weights_again(plain, tmp_path):
    call("harden", plain / "plan.toml", "--no-audit", "--out", tmp_path / "again")
    names = ("model.safetensors", "curve.json", "model.json")
    assert [(tmp_path / "again" / n).read_bytes() for n in names] == [(plain / n).read_bytes() for n in names]


def test_an_audit_can_be_had_later(plain, data, tmp_path):
    out = shutil.copytree(plain, tmp_path / "run")
    words = ["harden", "--model", "cnn", *data, *SMALL, "--out", out]
    assert "A quick audit" in call(*words)
    assert "The quick audit at the end" in (out / "README.md").read_text()
    assert "began from random weights" in (out / "README.md").read_text()


def test_what_to_compare_with_can_be_named(plain, data, tmp_path):
    out = tmp_path / "run"
    words = ["harden", "--model", "cnn", *data, *SMALL, "--seed", 1, "--out", out]
    assert "was" in call(*words, "--compare", plain).split("Not attacked, balanced accuracy ")[1]
    assert call(*words, "--compare", plain).startswith("Nothing to do")
    assert f"Before: the network that it was to be compared with, {plain}." in (out / "README.md").read_text()


def test_a_rival_that_is_no_model_is_refused_before_anything_runs(data, tmp_path):
    with pytest.raises(ModelError, match="there is no model 'nowhere'"):
        call("harden", "--model", "cnn", *data, *SMALL, "--compare", "nowhere", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_audit_of_the_run_needs_no_other_word(hardened, plain, scans, tmp_path):
    """On its test images, and against the network before."""
    whole = shutil.copytree(scans, tmp_path / "scans")
    good = next((whole / "train").rglob("*.png"))
    for file in (whole / "test").rglob("*.png"):
        shutil.copy(good, file)
    out = shutil.copytree(hardened, tmp_path / "run")
    plan = json.loads((out / "plan.json").read_text())
    (out / "plan.json").write_text(json.dumps({**plan, "data": plan["data"].replace(str(scans), str(whole))}))
    dry = call("audit", "--model", out, "--preset", "quick", "--eps", "2/255", "--no-escalation", "--dry-run")
    assert f"Before hardening: the network that training started from, {plain}" in dry
    assert dry.count("About ") == 2  # the price of both
    call("audit", "--model", out, "--preset", "quick", "--eps", "2/255", "--no-escalation")
    results = json.loads((out / "audit-test" / "results.json").read_text())
    assert results["data"]["split"] == "test"
    assert "Before and after hardening" in (out / "audit-test" / "report.html").read_text()
    assert (out / "audit-test" / "before" / "results.json").is_file()
    call("audit", "--model", out, "--preset", "quick", "--eps", "2/255", "--no-escalation", "--no-before", "--out", tmp_path / "alone")
    assert not (tmp_path / "alone" / "before").exists()


def test_the_cards_are_made_again_from_the_folder(hardened, tmp_path):
    out = shutil.copytree(hardened, tmp_path / "run")
    before = {name: (out / name).read_bytes() for name in ("README.md", "curve.png", "curve.csv", "data_card.md")}
    for name in before:
        (out / name).unlink()
    assert call("report", out) == f"The model card is {out / 'README.md'}\n"
    assert {name: (out / name).read_bytes() for name in before} == before


def test_it_is_followed_once_whether_asked_before_or_after(data, tmp_path):
    words = ["harden", "--model", "cnn", *data, *SMALL, "--no-audit", "--out", tmp_path / "run", "--mlflow", tmp_path / "tracked"]
    call(*words, "--tensorboard")
    (told,) = (tmp_path / "tracked").rglob("metrics/loss")
    call(*words)
    assert len(told.read_text().splitlines()) == 1
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 1


def test_a_dry_run_says_what_follows(data):
    told = call("harden", "--model", "cnn", *data, *SMALL, "--dry-run")
    assert "At the end a quick audit on " in told
    assert "No audit at the end" in call("harden", "--model", "cnn", *data, *SMALL, "--dry-run", "--no-audit")


def test_the_progress_line_tells_the_last_accuracies():
    said: list[str] = []
    bar = Bar(lambda what, done, total: said.append(what))
    bar("epoch 1 of 2", 0, 10)
    bar.last = {"epoch": 1, "balanced_accuracy": 0.71, "robust_balanced_accuracy": 0.4, "accuracy": 0.9}
    bar("epoch 2 of 2", 5, 10)
    bar.last = {"epoch": 2, "accuracy": 0.9}
    bar("epoch 2 of 2", 10, 10)
    assert said == ["epoch 1 of 2", "epoch 2 of 2: clean 0.710, robust 0.400", "epoch 2 of 2: clean 0.900"]
