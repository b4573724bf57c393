"""`robustdx inspect` says the worst first, writes everything found, and ends with the status that scripts need."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from specimens import Command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name has a space; one image lies in both classes."""
    rng = np.random.default_rng(0)
    for name in ("benign", "malignant"):
        (tmp_path / "my scans" / name).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(tmp_path / "my scans" / name / f"{i}.png")
    twice = (tmp_path / "my scans/benign/0.png").read_bytes()
    (tmp_path / "my scans/malignant/9.png").write_bytes(twice)
    return tmp_path / "my scans"


def test_findings_are_no_failure_and_the_verdict_comes_first(robustdx: Command, folder: Path) -> None:
    outcome = robustdx("inspect", f"folder:{folder}")
    assert outcome.status == 0
    assert outcome.out.index("two or more different labels") < outcome.out.index("Images of each class")
    assert "malignant/9.png" in outcome.out


def test_strict_ends_with_status_1_when_something_was_found(robustdx: Command, folder: Path) -> None:
    assert robustdx("inspect", f"folder:{folder}", "--strict").status == 1
    (folder / "malignant/9.png").unlink()
    assert robustdx("inspect", f"folder:{folder}", "--strict").status == 0


@pytest.mark.parametrize("flag", ["--json", "--out"])
def test_everything_found_is_written(robustdx: Command, folder: Path, tmp_path: Path, flag: str) -> None:
    robustdx("inspect", f"folder:{folder}", flag, tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["counts"]["pairs_same_file"] == 1
    assert {image["label"] for image in found["pairs"][0]["images"]} == {"benign", "malignant"}


def test_an_output_folder_that_is_not_there_is_refused_before_any_work(robustdx: Command, folder: Path) -> None:
    outcome = robustdx("inspect", f"folder:{folder}", "--out", "not/there/found.json")
    assert outcome.status == 2
    assert "not/there" in outcome.err
