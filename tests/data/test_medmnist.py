"""MedMNIST-style arrays."""

from math import isnan

import numpy as np
import pytest

from robustdx.data import load_dataset
from robustdx.errors import DataError

GREY = np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5)


@pytest.fixture
def npz(tmp_path):
    def write(options: str = "", **arrays: np.ndarray) -> str:
        np.savez_compressed(tmp_path / "toymnist.npz", **arrays)
        return f"medmnist:{tmp_path / 'toymnist.npz'}{options}"

    return write


def test_grey_images_and_classes(npz) -> None:
    data = load_dataset(
        npz(train_images=GREY, train_labels=np.array([[0], [1], [2], [1]]), test_images=GREY[:1], test_labels=np.array([[1]]))
    )
    assert (data.name, data.kind, data.classes, data.splits) == ("toymnist", "multiclass", ("0", "1", "2"), ("train", "test"))
    assert [e.id for e in data.examples][-2:] == ["train/000003", "test/000000"]
    assert (data.read(data.examples[3], None, 1)[..., 0] == GREY[3]).all()
    assert data.read(data.examples[3], (12, 10), 3).shape == (12, 10, 3)


def test_colour_images_and_two_named_classes(npz) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
    data = load_dataset(npz(",classes=benign+malignant", val_images=colour, val_labels=np.array([0, 1])))
    assert (data.kind, data.classes) == ("binary", ("benign", "malignant"))
    assert (data.read(data.examples[1], None, 3) == colour[1]).all()


def test_several_columns_are_findings(npz) -> None:
    data = load_dataset(npz(test_images=GREY[:2], test_labels=np.array([[0, 1, np.nan], [1, 1, 0]])))
    assert data.kind == "multilabel"
    assert data.examples[1].label == (1.0, 1.0, 0.0)
    assert isnan(data.examples[0].label[2])


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": GREY}, "expected train_images and train_labels, got x"),
        ({"train_images": GREY}, "expected the array train_labels, got train_images"),
        ({"train_images": GREY / 255.0, "train_labels": np.zeros(4)}, r"expected 8-bit values \(uint8\) in train_images, got float64"),
        ({"train_images": GREY, "train_labels": np.zeros(3)}, "expected train_images of 3 grey"),
        ({"train_images": GREY[None], "train_labels": np.zeros(1)}, r"got the shape \(1, 4, 6, 5\)"),
        ({"train_images": GREY, "train_labels": np.array([0, 1, 2.5, 0])}, "expected class numbers 0, 1, ... in train_labels"),
        ({"train_images": GREY, "train_labels": np.full((4, 2), 3)}, "expected 0, 1 or NaN for each finding in train_labels"),
        ({"train_images": GREY, "train_labels": np.array(["a", "b", "c", "d"])}, "expected numbers of shape"),
        ({"train_images": GREY, "train_labels": np.array([{}] * 4, dtype=object)}, "expected an .npz file of plain number arrays"),
    ],
)
def test_what_does_not_fit_is_named(npz, arrays, words) -> None:
    with pytest.raises(DataError, match=words):
        load_dataset(npz(**arrays))


def test_no_file_and_no_archive_are_named(tmp_path) -> None:
    with pytest.raises(DataError, match="which is not there"):
        load_dataset(f"medmnist:{tmp_path / 'nothing.npz'}")
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 but no more")
    with pytest.raises(DataError, match=r"expected an \.npz file of plain number arrays"):
        load_dataset(f"medmnist:{tmp_path / 'a.npz'}")
