"""robustdx perturb --preset: the frames of a data set written once, and read again as frozen:SET."""

import csv
import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from natural_specimens import Dimming, Flicker
from PIL import Image
from specimens import CLASSES, Command, write_csv, write_rows
from torchvision.transforms import functional

from robustdx.auditing.files import freezing
from robustdx.auditing.files.incoming import cropped
from robustdx.data import load_dataset
from robustdx.data.batches import decoded
from robustdx.data.split import subset
from robustdx.draws import Draws
from robustdx.errors import DataError, ImageError, RobustdxError
from robustdx.perturbations import SEQUENCES

METHODS = {"dimming": Dimming(), "flicker": Flicker()}


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset of two sequences that can be computed by hand, 4 frames each."""
    for name, method in METHODS.items():
        monkeypatch.setitem(SEQUENCES.methods, name, type(method))
    asked = freezing.preset
    monkeypatch.setattr(
        freezing, "preset", lambda name, video=False: (list(METHODS.items()), 4) if name == "plain" else asked(name, video=video)
    )


@pytest.fixture
def table(tmp_path: Path, images: np.ndarray) -> Path:
    """A CSV of 10 images with patients, splits and a site; one of them is larger."""
    path = write_csv(tmp_path / "table" / "labels.csv", images[:10], CLASSES[:10], ["train", "test"] * 5)
    with path.open(newline="") as file:
        rows = [row | {"site": "ABC"[i % 3]} for i, row in enumerate(csv.DictReader(file))]
    write_rows(path, rows)
    large = path.parent / "images" / "i003.png"
    Image.open(large).resize((50, 40)).save(large)
    return path


@pytest.fixture
def freeze(robustdx: Command, table: Path, tmp_path: Path) -> Callable[..., Path]:
    def call(out: str = "set", *more: object) -> Path:
        words = ("--data", f"csv:{table}", "--preset", "plain", "--size", "24x20", "--seed", 5)
        ended = robustdx("perturb", *words, *more, "--out", tmp_path / out)
        assert ended.status == 0, ended.err
        return tmp_path / out

    return call


def test_the_set_is_the_data_set_with_its_frames(freeze: Callable[..., Path], table: Path) -> None:
    """Images, labels, patients, splits and attributes as they were, and frames as the sequences make them of each image by itself."""
    frozen, came = load_dataset(f"frozen:{freeze()}"), load_dataset(f"csv:{table}")
    assert (frozen.classes, frozen.kind, len(frozen)) == (came.classes, "binary", 10)
    assert frozen.clips is not None
    assert (frozen.clips.count, frozen.clips.preset) == (4, "plain")
    assert {n: (s["compared"], s["random"]) for n, s in frozen.clips.sequences.items()} == {
        "dimming": ("previous", False),
        "flicker": ("first", True),
    }
    for a, b in zip(frozen.examples, came.examples, strict=True):
        assert (a.id, a.label, a.patient, a.split, dict(a.attributes)) == (b.id, b.label, b.patient, b.split, dict(b.attributes))
        clean = came.read(b, (24, 20), 3)
        assert np.array_equal(frozen.read(a, (24, 20), 3), clean)
        x = torch.from_numpy(clean.copy()).permute(2, 0, 1)[None].float() / 255
        for name, method in METHODS.items():
            made = torch.cat(list(method.frames(x, 4, Draws(5, (a.id,)).fork("sequence", name))))
            expected = (made * 255).round().byte().permute(0, 2, 3, 1).numpy()
            assert np.array_equal(frozen.clips.read(a.id, name, (24, 20), 3), expected)
            assert len(np.unique(expected.reshape(4, -1), axis=0)) == 4, "frames differ"


def test_two_groups_that_freeze_the_same_have_the_same_digest(freeze: Callable[..., Path]) -> None:
    digests = {name: load_dataset(f"frozen:{freeze(name)}").clips.digest for name in ("one", "two")}  # type: ignore[union-attr]
    assert digests["one"] == digests["two"]
    others = [
        load_dataset(f"frozen:{freeze(f'{i}', *more)}") for i, more in enumerate([("--seed", 6), ("--frames", 5), ("--split", "test")])
    ]
    assert len({digests["one"], *(o.clips.digest for o in others)}) == 4  # type: ignore[union-attr]
    assert [(len(o), o.clips.count) for o in others] == [(10, 4), (10, 5), (5, 4)]  # type: ignore[union-attr]


def test_it_is_read_as_any_data_set(freeze: Callable[..., Path]) -> None:
    """Drawn by patient, held in memory, at another size, and in grey; frames stay with their images."""
    whole = load_dataset(f"frozen:{freeze()}")
    some = decoded(subset(whole, 4), (24, 20), 3)
    assert some.clips is whole.clips
    assert 4 <= len(some) < 10
    frames = some.clips.read(some.examples[0].id, "dimming", (12, 10), 1)  # type: ignore[union-attr]
    assert frames.shape == (4, 12, 10, 1)
    assert all(a.mean() > b.mean() for a, b in pairwise(frames))


def test_it_goes_on_with_what_is_not_there(freeze: Callable[..., Path], robustdx: Command) -> None:
    out = freeze()
    files = {p: p.read_bytes() for p in out.rglob("*.webp")}
    assert len(files) == 10 * 3
    tables = {name: (out / name).read_bytes() for name in ("manifest.csv", "examples.json", "set.json")}
    gone, cut, *left = sorted(files)
    times = {p: p.stat().st_mtime_ns for p in left}
    gone.unlink()
    cut.write_bytes(files[cut][:30])
    (out / "manifest.json").unlink()
    with pytest.raises(DataError, match="not whole: run the command that began it once more"):
        load_dataset(f"frozen:{out}")
    freeze()
    assert {p: p.read_bytes() for p in out.rglob("*.webp")} == files
    assert {p: p.stat().st_mtime_ns for p in left} == times
    assert {name: (out / name).read_bytes() for name in tables} == tables


def test_a_changed_file_is_refused_in_words(freeze: Callable[..., Path], tmp_path: Path) -> None:
    """A size at once, pixels when they are read, labels and hashes by the digest; what was only copied is the same set."""
    out = freeze()
    moved = shutil.copytree(out, tmp_path / "moved")
    assert load_dataset(f"frozen:{moved}").clips.digest == load_dataset(f"frozen:{out}").clips.digest  # type: ignore[union-attr]
    picture = moved / "frames" / "flicker" / "i004.webp"
    whole = picture.read_bytes()
    dataset = load_dataset(f"frozen:{moved}")
    assert dataset.clips is not None
    example = next(e for e in dataset.examples if e.id == "i004.png")
    frames = dataset.clips.read(example.id, "flicker", None, 3).copy()
    frames[2, 3, 4, 1] ^= 1
    from robustdx.data.frozen import pictures

    picture.write_bytes(pictures.encoded(frames))
    with pytest.raises(ImageError, match=r"i004\.webp: expected the pixels that were frozen, got others: the file was changed"):
        dataset.clips.read(example.id, "flicker", None, 3)
    picture.write_bytes(whole + b" ")
    with pytest.raises(DataError, match=r"i004\.webp: expected \d+ bytes, got \d+: the file was changed"):
        load_dataset(f"frozen:{moved}")
    picture.unlink()
    with pytest.raises(DataError, match=r"i004\.webp: expected a file of the frozen set, which is not there"):
        load_dataset(f"frozen:{moved}")
    picture.write_bytes(whole)
    examples = json.loads((moved / "examples.json").read_text())
    examples[0]["label"] = 1 - examples[0]["label"]
    (moved / "examples.json").write_text(json.dumps(examples))
    with pytest.raises(DataError, match="were changed after the set was frozen"):
        load_dataset(f"frozen:{moved}")


def test_findings_that_nobody_looked_for_stay_unknown(robustdx: Command, table: Path, tmp_path: Path) -> None:
    with table.open(newline="") as file:
        rows = [{"image": r["image"], "edema": i % 2, "mass": "" if i == 1 else 1} for i, r in enumerate(csv.DictReader(file))]
    write_rows(table, rows)
    ended = robustdx("perturb", "--data", f"csv:{table}", "--preset", "plain", "--size", 20, "--channels", 1, "--out", tmp_path / "set")
    assert ended.status == 0, ended.err
    frozen = load_dataset(f"frozen:{tmp_path / 'set'}")
    assert frozen.kind == "multilabel"
    assert [str(e.label) for e in frozen.examples[:3]] == ["(0.0, 1.0)", "(1.0, nan)", "(0.0, 1.0)"]
    assert frozen.read(frozen.examples[0], None, 1).shape == (20, 20, 1)


def test_a_released_preset_cuts_out_the_middle_as_it_was_done(robustdx: Command, tmp_path: Path) -> None:
    """xu2021: the shorter side to 8/7, the middle, and the released frames of one sequence."""
    words = ("--data", "synthetic,images=20", "--images", 2, "--preset", "xu2021", "--sequence", "brightness")
    ended = robustdx("perturb", *words, "--out", tmp_path / "set")
    assert (ended.status, "its digest is" in ended.out) == (0, True), ended.err
    frozen, came = load_dataset(f"frozen:{tmp_path / 'set'}"), load_dataset("synthetic,images=20")
    assert frozen.clips is not None
    for example in frozen.examples:
        clean = frozen.read(example, None, 3)
        assert clean.shape == (224, 224, 3)
        assert np.array_equal(clean, cropped(came.read(next(e for e in came.examples if e.id == example.id), None, 3), (224, 224)))
        x = torch.from_numpy(clean.copy()).permute(2, 0, 1)[None].float() / 255
        method = SEQUENCES.parse(dict(frozen.clips.sequences["brightness"]["settings"]))
        made = torch.cat(list(method.frames(x, 10, Draws(0, (example.id,)).fork("sequence", "brightness"))))
        assert np.array_equal(frozen.clips.read(example.id, "brightness", None, 3), (made * 255).round().byte().permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize("shape", [(300, 451), (451, 300), (256, 256), (90, 1000)])
def test_the_middle_is_torchvision_s(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    image = functional.center_crop(functional.resize(Image.fromarray(pixels), 256), 224)
    assert np.array_equal(cropped(pixels, (224, 224)), np.asarray(image))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--preset", "plain", "--frames", 1), "a sequence needs at least 2 frames, got 1"),
        (("--preset", "xu2012"), "there is no preset of sequences named 'xu2012': did you mean xu2021?"),
        (("--preset", "plain", "--sequence", "diming"), "there is no sequence named 'diming': did you mean dimming?"),
        (("--preset", "plain", "--perturbation", "fog"), "got both"),
        (("--preset", "plain", "--split", "dev"), "has no split named 'dev'"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_folder_is_made(
    robustdx: Command, table: Path, tmp_path: Path, words: tuple[object, ...], told: str
) -> None:
    ended = robustdx("perturb", "--data", f"csv:{table}", *words, "--out", tmp_path / "out")
    assert (ended.status, told in ended.err) == (2, True), ended.err
    assert not (tmp_path / "out").exists()


def test_images_without_labels_are_no_benchmark(robustdx: Command, table: Path, tmp_path: Path) -> None:
    ended = robustdx("perturb", "--data", table.parent / "images", "--preset", "plain", "--out", tmp_path / "out")
    assert (ended.status, "needs the labels of its images" in ended.err) == (2, True), ended.err


def test_too_little_room_is_said_after_the_first_images(
    robustdx: Command, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before the disk is full; with room, the same command goes on."""
    words = ("perturb", "--data", f"csv:{table}", "--preset", "plain", "--size", 24, "--out", tmp_path / "set")
    monkeypatch.setattr(freezing, "AT_A_TIME", 2)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2000))
        ended = robustdx(*words)
    assert (ended.status, "GB are still to be written" in ended.err, "--images" in ended.err) == (2, True, True), ended.err
    assert len(list((tmp_path / "set").rglob("*.webp"))) == 2 * 3
    with pytest.raises(RobustdxError, match="not whole"):
        load_dataset(f"frozen:{tmp_path / 'set'}")
    assert robustdx(*words).status == 0
    assert len(load_dataset(f"frozen:{tmp_path / 'set'}")) == 10


def test_the_folder_of_another_plan_is_refused(freeze: Callable[..., Path], robustdx: Command, table: Path) -> None:
    out = freeze()
    ended = robustdx("perturb", "--data", f"csv:{table}", "--preset", "plain", "--size", "24x20", "--seed", 6, "--out", out)
    assert (ended.status, "seed was 5, now 6" in ended.err) == (2, True), ended.err
