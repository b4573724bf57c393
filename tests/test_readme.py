"""Every command of the README runs, in order, on a folder of images like a user's; only sizes and counts are smaller."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from robustdx import cli
from robustdx.data import load_dataset

README = (Path(__file__).parents[1] / "README.md").read_text()
SMALLER = {
    "inspect": [],
    "audit": ["--size", "32", "--images", "3", "--eps", "8/255"],
    "gate": ["--eps", "8/255"],
    "harden": ["--size", "32", "--epochs", "1", "--no-audit"],
    "attack": ["--size", "32", "--images", "6"],
    "list": [],
    "certify": ["--size", "32", "--images", "6", "--samples", "10,40", "--alpha", "0.1"],
    "detect": ["--size", "32", "--images", "6", "--learn", "24", "--attack", "pgd,steps=2"],
    "purify": [],
    "perturb": ["--images", "4"],
    "selftest": ["--only", "wrong_sign", "--images", "8", "--processes", "1"],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[list[str]]:
    lines = (line.partition(" #")[0] for block in blocks("sh") for line in block.splitlines())
    return [shlex.split(line)[1:] for line in lines if line.startswith("robustdx ")]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `scans/`, `model.safetensors` and `mine.py`, as the README names them."""
    import timm

    folder = tmp_path_factory.mktemp("a user's folder")
    dataset = load_dataset("synthetic,images=60")
    for example in dataset.examples:
        path = folder / "scans" / dataset.classes[example.label] / f"{example.id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(dataset.read(example, (32, 32), 3)).save(path)
    (folder / "mine.py").write_text("def purify(x):\n    return (x * 15).round() / 15\n")
    torch.manual_seed(0)
    save_file(timm.create_model("resnet18", num_classes=len(dataset.classes)).state_dict(), folder / "model.safetensors")
    return folder


def test_the_readme_shows_the_five_steps_first():
    assert [words[0] for words in commands()][:4] == ["inspect", "audit", "audit", "harden"]


@pytest.mark.parametrize("words", commands(), ids=lambda w: f"{w[0]}-{w[-1]}")
def test_command(words, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    attacks = ["--attack", "fgsm", "--attack", "pgd,steps=2"] if words[0] == "audit" and "--attack" not in words else []
    believed = ["--no-escalation"] if words == ["audit", "--model", "hardened"] else []  # doubted enough in the other audits
    monkeypatch.setattr("sys.argv", ["robustdx", *words, *SMALLER[words[0]], *attacks, *believed])
    with pytest.raises(SystemExit) as end:
        sys.exit(cli.main())
    assert end.value.code in ((0, None, 1) if words[0] == "gate" else (0, None)), capsys.readouterr().err
    if "--out" in words and words[0] == "audit":
        assert (place / words[words.index("--out") + 1] / "report.html").stat().st_size > 10_000


def test_the_lines_of_python(place, monkeypatch):
    monkeypatch.chdir(place)
    (code,) = blocks("python")
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 3))
    dataset = [(torch.rand(3, 8, 8), i % 3) for i in range(24)]
    names = {"network": network, "dataset": dataset}
    exec(code.replace('out="run"', 'out="memory"'), names)
    assert names["results"]["schema"] == 1
    assert (place / "memory" / "report.html").exists()


def test_the_make_targets_it_names_exist():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_the_files_it_links_to_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (Path(__file__).parents[1] / target).exists(), target
