"""`inspect` finds what is planted in a folder of images, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from robustdx.data import Dataset, Example, load_dataset
from robustdx.data.inspection.findings import as_json, counts, verdict
from robustdx.data.inspection.inspect import Inspection, class_counts, inspect
from robustdx.data.read import read_example
from robustdx.data.split import cut_groups

SIZE = (160, 120)


def picture(seed: int) -> Image.Image:
    """A colour image of its own, with detail at every scale, as photographs have."""
    rng, (width, height) = np.random.default_rng(seed), SIZE
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    spectrum = np.fft.fft2(rng.normal(size=(3, height, width))) / np.maximum(frequency, 1 / width)
    channels = np.fft.ifft2(spectrum).real.transpose(1, 2, 0)
    grey = channels.mean(2, keepdims=True) + 0.3 * channels
    return Image.fromarray(np.clip(128 + 45 * grey / grey.std(), 0, 255).astype(np.uint8))


def through_a_lens(image: Image.Image) -> Image.Image:
    """The image in a black surround, as every image of one camera has it."""
    shown = Image.new("L", image.size)
    ImageDraw.Draw(shown).ellipse((20, 5, image.width - 20, image.height - 5), fill=255)
    return Image.composite(image, Image.new("RGB", image.size), shown)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train and test, classes benign and malignant, 10 unlike images in each of the four."""
    root = tmp_path_factory.mktemp("clean")
    for number, place in enumerate(["train/benign", "train/malignant", "test/benign", "test/malignant"]):
        (root / place).mkdir(parents=True)
        for i in range(10):
            picture(100 * number + i).save(root / place / f"P{number}{i}_{i}.png")
    return root


@pytest.fixture
def folder(clean: Path, tmp_path: Path) -> Path:
    """A copy of the clean set, to plant something in."""
    return shutil.copytree(clean, tmp_path / "set")


def inspected(folder: Path, options: str = "") -> Inspection:
    return inspect(load_dataset(f"folder:{folder}{options}"))


def names(found: Inspection) -> set[frozenset[str]]:
    return {frozenset(found.dataset.examples[i].id for i in group) for group in found.copies}


def test_a_clean_set_has_no_findings(folder: Path) -> None:
    found = inspected(folder)
    assert not found.found
    assert verdict(found) == ["No copies, no cut patients, no conflicting labels, no odd files."]


def test_the_same_file_in_two_splits_and_two_classes_is_a_leak_and_a_conflict(folder: Path) -> None:
    (folder / "test/malignant/again.png").write_bytes((folder / "train/benign/P00_0.png").read_bytes())
    found = inspected(folder)
    assert [p.kind for p in found.pairs] == ["same file"]
    assert names(found) == {frozenset({"train/benign/P00_0.png", "test/malignant/again.png"})}
    assert found.across_splits == found.conflicts == list(found.copies)
    assert [found.dataset.examples[i].id for i in found.leaks("test")["copies"]] == ["test/malignant/again.png"]


def test_the_same_pixels_in_another_format_are_told_from_the_same_file(folder: Path) -> None:
    picture(0).save(folder / "train/benign/again.bmp")
    found = inspected(folder)
    assert [p.kind for p in found.pairs] == ["same pixels"]
    assert not found.across_splits
    assert not found.conflicts


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half the size": lambda image: image.resize((80, 60)),
    "squashed": lambda image: image.resize((128, 128)),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "flat": lambda image: ImageEnhance.Contrast(image).enhance(0.5),
    "grey": lambda image: image.convert("L"),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned the other way": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "cropped by a tenth": lambda image: image.crop((3, 8, 147, 116)),
    "cropped by a quarter": lambda image: image.crop((30, 20, 150, 110)),
    "shifted": lambda image: image.transform(SIZE, Image.Transform.AFFINE, (1, 0, 12, 0, 1, -8)),
    "tilted": lambda image: image.rotate(5, Image.Resampling.BILINEAR),
    "stamped": lambda image: (ImageDraw.Draw(image).rectangle((0, 0, 60, 20), fill="white"), image)[1],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found(folder: Path, change: str) -> None:
    CHANGES[change](picture(0)).convert("RGB").save(folder / "test/malignant/changed.jpg", quality=60)
    found = inspected(folder)
    assert [p.kind for p in found.pairs] == ["near"]
    assert names(found) == {frozenset({"train/benign/P00_0.png", "test/malignant/changed.jpg"})}


def test_images_through_one_lens_are_no_copies(folder: Path) -> None:
    for file in folder.rglob("*.png"):
        through_a_lens(Image.open(file)).save(file)
    assert not inspected(folder).pairs


def test_copies_of_copies_are_one_group(folder: Path) -> None:
    (folder / "train/benign/second.png").write_bytes((folder / "train/benign/P00_0.png").read_bytes())
    picture(0).save(folder / "train/benign/third.jpg", quality=50)
    picture(0).resize((80, 60)).save(folder / "train/benign/fourth.png")
    assert [len(group) for group in inspected(folder).copies] == [4]


def test_a_patient_in_two_splits_is_cut_and_its_test_images_leak(folder: Path) -> None:
    picture(900).save(folder / "train/benign/P20_9.png")
    found = inspected(folder, r",patient=(P\d+)_")
    assert found.cut == {"P20": ("test", "train")}
    assert found.leaks("test") == {
        "copies": [],
        "patients": [next(i for i, e in enumerate(found.dataset.examples) if "test/benign/P20" in e.id)],
    }
    assert "1 of 20 test images (5%)" in verdict(found)[0]


def test_a_copy_under_another_patient_is_named(folder: Path) -> None:
    picture(0).save(folder / "train/benign/P77_0.png")
    found = inspected(folder, r",patient=(P\d+)_")
    assert found.across_patients == list(found.copies)
    assert any("more than one patient" in sentence for sentence in verdict(found))


def test_unreadable_files_are_named_and_the_rest_is_still_inspected(folder: Path) -> None:
    picture(0).save(folder / "whole.jpg")
    (folder / "test/benign/cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:1500])
    (folder / "whole.jpg").unlink()
    (folder / "test/benign/nothing.png").write_bytes(b"")
    picture(0).convert("CMYK").save(folder / "test/benign/printed.jpg")
    (folder / "test/malignant/again.png").write_bytes((folder / "train/benign/P00_0.png").read_bytes())
    found = inspected(folder)
    assert {found.dataset.examples[i].id for i in found.unreadable} == {
        f"test/benign/{n}" for n in ("cut.jpg", "nothing.png", "printed.jpg")
    }
    assert any("CMYK" in why for why in found.unreadable.values())
    assert len(found.copies) == 1


def test_odd_images_are_named_with_what_is_odd(folder: Path) -> None:
    picture(901).convert("L").save(folder / "train/benign/grey.png")
    picture(902).resize((20, 15)).save(folder / "train/benign/tiny.png")
    Image.new("RGB", SIZE, "white").save(folder / "train/benign/blank.png")
    found = inspected(folder)
    odd = {found.dataset.examples[i].id.removeprefix("train/benign/"): why for i, why in found.odd.items()}
    assert set(odd) == {"grey.png", "tiny.png", "blank.png"}
    assert odd["grey.png"] == "grey among colour images"
    assert "tiny" in odd["tiny.png"]
    assert "20 x 15" in odd["tiny.png"]
    assert "nothing" in odd["blank.png"]


def test_a_grey_set_has_no_grey_oddities(folder: Path) -> None:
    for file in folder.rglob("*.png"):
        Image.open(file).convert("L").save(file)
    assert not inspected(folder).odd


def test_files_that_the_table_does_not_name_are_listed(tmp_path: Path) -> None:
    for i in range(4):
        picture(i).save(tmp_path / f"{i}.png")
    examples = [Example(id=str(i), label=i % 2, file=str(tmp_path / f"{i}.png")) for i in range(3)]
    found = inspect(Dataset("table", ("a", "b"), "binary", examples, read_example))
    assert [Path(file).name for file in found.unlisted] == ["3.png"]


def test_class_counts_are_per_split(folder: Path) -> None:
    assert class_counts(load_dataset(f"folder:{folder}"))["train"] == {"benign": 10, "malignant": 10}


def test_images_that_lie_in_no_file_are_inspected_too() -> None:
    stack = np.stack([np.asarray(picture(i % 11)) for i in range(12)])
    examples = [Example(id=str(i), label=int(i == 11)) for i in range(12)]
    found = inspect(Dataset("memory", ("a", "b"), "binary", examples, lambda e, size, channels: stack[int(e.id)]))
    assert [(p.first, p.second, p.kind) for p in found.pairs] == [(0, 11, "same pixels")]
    assert len(found.conflicts) == 1


def test_the_json_names_every_image_concerned(folder: Path) -> None:
    (folder / "test/malignant/again.png").write_bytes((folder / "train/benign/P00_0.png").read_bytes())
    words = as_json(inspected(folder))
    assert words["schema"] == 1
    assert words["counts"]["copy_groups_across_labels"] == 1
    assert {(i["split"], i["label"]) for i in words["pairs"][0]["images"]} == {("train", "benign"), ("test", "malignant")}


def test_the_leaky_split_of_ham10000_leaks_483_test_images(real_data: Path) -> None:
    dataset = load_dataset(f"ham10000:{real_data / 'derm_ham10000_200x150'},split=split_naive_by_image_LEAKY.csv")
    found = Inspection(dataset, {}, {}, [], [], cut_groups(dataset), [])
    assert len(found.leaks("test")["patients"]) == 483
    assert len(found.cut) == 680


@pytest.mark.slow
def test_the_known_faults_of_the_nine_class_set_are_found(real_data: Path) -> None:
    found = inspected(real_data / "derm_isic9_kaggle_180")
    assert counts(found)["pairs_same_file"] == 112
    in_two_classes = {frozenset(Path(found.dataset.examples[i].id).name for i in group) for group in found.conflicts}
    assert len(in_two_classes) >= 100
