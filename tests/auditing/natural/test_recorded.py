"""An audit of a frozen set reads the frames that it holds, and finds what one finds that makes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dark_or_bright import CLASSES, SIZE, Dusk, Snowy, pixels, run
from PIL import Image

from robustdx import api
from robustdx.auditing.files import freezing
from robustdx.auditing.files.freezing import Freezing
from robustdx.data import Dataset, load_dataset
from robustdx.data.frozen import pictures
from robustdx.errors import ImageError, RunError
from robustdx.perturbations import SEQUENCES
from robustdx.store import Store


def quiet(what: str, done: int, total: int) -> None:
    """No progress is shown."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The images as files, in class folders, with their patients in their names."""
    for i, image in enumerate(pixels()):
        file = tmp_path / "photos" / CLASSES[i // 2 % 2] / f"P{i // 2:02d}_{i:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(file)
    return tmp_path / "photos"


@pytest.fixture
def frozen(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set of two sequences of 6 frames."""
    for name, cls in {"dusk": Dusk, "snowy": Snowy}.items():
        monkeypatch.setitem(SEQUENCES.methods, name, cls)
    monkeypatch.setattr(freezing, "preset", lambda name, video=False: ([("dusk", Dusk()), ("snowy", Snowy())], 6))
    ready = Freezing.of(rf"folder:{folder},patient=(P\d+)_,classes={'+'.join(CLASSES)}", "centred", size=(SIZE, SIZE))
    api.freeze(ready, tmp_path / "set", command="test", progress=quiet)
    return tmp_path / "set"


def set_of(folder: Path) -> Dataset:
    return load_dataset(f"frozen:{folder}").as_task("multiclass")


def rows(run: Path) -> dict[str, list[dict[str, object]]]:
    return {cell.attack: records.to_pylist() for cell, records in Store(run).natural("sequence")}


def test_what_is_read_is_what_would_have_been_made(frozen: Path, folder: Path, tmp_path: Path) -> None:
    """With no sequences in the plan, those of the set; the same frames, decisions and flips as an audit that makes them itself."""
    came = load_dataset(rf"folder:{folder},patient=(P\d+)_,classes={'+'.join(CLASSES)}").as_task("multiclass")
    read = run(set_of(frozen), tmp_path / "read")["natural"]
    made = run(came, tmp_path / "made", sequences=[{"name": "dusk", "count": 6}, {"name": "snowy", "count": 6}])["natural"]
    assert rows(tmp_path / "read") == rows(tmp_path / "made")
    assert {name: len(r) for name, r in rows(tmp_path / "read").items()} == {"dusk": 60, "snowy": 60}
    for own, other in zip(read["sequences"], made["sequences"], strict=True):
        assert (own["label"], own["metrics"], own["compared"]) == (other["label"], other["metrics"], other["compared"])
    assert read["sequences"][0]["metrics"]["flip_probability"]["value"] > 0
    settings = read["sequences"][0]["settings"]
    assert settings["frozen"] == set_of(frozen).clips.digest  # type: ignore[union-attr]
    assert settings["step"] == Dusk().step
    told = json.loads((tmp_path / "read" / "run.json").read_text())["natural"]["documents"]["sequence"]["dusk"]
    assert told["about"].startswith("Darker by a step"), "what was frozen speaks for itself"


def test_sequences_of_the_plan_take_their_place(frozen: Path, tmp_path: Path) -> None:
    found = run(set_of(frozen), tmp_path / "run", sequences=[{"name": "dusk", "count": 3, "label": "short"}])["natural"]
    assert [(own["label"], own["frames"]) for own in found["sequences"]] == [("short", 3)]
    assert "frozen" not in found["sequences"][0]["settings"]
    assert "sequences" not in run(set_of(frozen), tmp_path / "none", sequences=[], perturbations=["kept"])["natural"]


def test_some_images_of_a_set_have_their_own_frames(frozen: Path, tmp_path: Path) -> None:
    run(set_of(frozen), tmp_path / "all")
    run(set_of(frozen), tmp_path / "some", images=10)
    whole = {str(row["id"]): row for row in rows(tmp_path / "all")["snowy"]}
    some = rows(tmp_path / "some")["snowy"]
    assert 10 <= len(some) < 60
    assert [whole[str(row["id"])] for row in some] == some


def test_a_frame_that_was_changed_is_found_during_the_audit(frozen: Path, tmp_path: Path) -> None:
    """One pixel of one frame, in a file of the same size: the audit ends in words and goes on once the file is right."""
    dataset = set_of(frozen)
    victim = frozen / "frames" / "dusk" / "dark" / "P02_04.webp"
    whole = victim.read_bytes()
    frames = pictures.decoded(victim, (6, SIZE, SIZE, 3))
    victim.write_bytes(pictures.encoded(np.roll(frames, 1, axis=0)))
    with pytest.raises(ImageError, match=r"P02_04\.webp: expected the pixels that were frozen"):
        run(dataset, tmp_path / "run")
    victim.write_bytes(whole)
    assert len(run(dataset, tmp_path / "run")["natural"]["sequences"]) == 2


def test_another_set_is_another_run(frozen: Path, tmp_path: Path, folder: Path) -> None:
    run(set_of(frozen), tmp_path / "run")
    ready = Freezing.of(rf"folder:{folder},patient=(P\d+)_,classes={'+'.join(CLASSES)}", "centred", size=(SIZE, SIZE), count=4)
    api.freeze(ready, tmp_path / "other", command="test", progress=quiet)
    with pytest.raises(RunError, match="another plan"):
        run(set_of(tmp_path / "other"), tmp_path / "run")
