"""Torch data sets of the user's own."""

from math import isnan, nan

import numpy as np
import pytest
import torch
from PIL import Image

from robustdx.data.in_memory import channels_of, from_torch
from robustdx.errors import DataError, ImageError, PlanError

X = torch.rand(4, 3, 6, 5, generator=torch.Generator().manual_seed(0))


def pairs(labels, images=X):
    return list(zip(images, labels, strict=False))


def test_float_images_are_rounded_to_eight_bits() -> None:
    data = from_torch(pairs([0, 1, 2, 1]))
    assert (data.kind, data.classes, data.splits, data.grouped) == ("multiclass", ("0", "1", "2"), (), False)
    assert (data.read(data.examples[2], None, 3) == (X[2] * 255).round().byte().permute(1, 2, 0).numpy()).all()


def test_eight_bit_tensors_arrays_and_pillow_images_are_kept() -> None:
    raw = (X[0] * 255).byte()
    hwc = raw.permute(1, 2, 0).numpy()
    data = from_torch([(raw, 0), (hwc, 1), (Image.fromarray(hwc), 0)])
    assert all((data.read(e, None, 3) == hwc).all() for e in data.examples)


def test_grey_images_have_one_channel() -> None:
    assert channels_of(from_torch([(X[0, :1], 0), (X[0, 0], 1)])) == 1
    assert channels_of(from_torch([(X[0, :1], 0), (X[0], 1)])) == 3


def test_patients_and_names() -> None:
    data = from_torch(pairs([0, 1, 0, 1]), classes=("well", "sick"), patients=[7, 7, 8, 8])
    assert (data.kind, data.classes, [e.patient for e in data.examples]) == ("binary", ("well", "sick"), ["7", "7", "8", "8"])


def test_one_logit_labels_are_classes_and_vectors_are_findings() -> None:
    assert from_torch(pairs([torch.tensor([1.0]), torch.tensor([0.0])])).kind == "binary"
    data = from_torch(pairs([torch.tensor([1.0, nan]), [0, 1]]))
    assert data.kind == "multilabel"
    assert data.examples[1].label == (0.0, 1.0)
    assert isnan(data.examples[0].label[1])


def test_each_image_is_asked_for_once() -> None:
    class Random(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return torch.rand(3, 4, 4), i

    data = from_torch(Random())
    assert (data.read(data.examples[0], None, 3) == data.read(data.examples[0], None, 3)).all()


@pytest.mark.parametrize("image", [X[0] * 2 - 1, torch.full((3, 4, 4), nan)])
def test_images_outside_zero_to_one_are_refused_in_the_words_of_the_model(image) -> None:
    with pytest.raises(ImageError, match=r"image 1: images must lie in \[0, 1\], got .* give mean and std to DiagnosticModel"):
        from_torch([(X[0], 0), (image, 1)])


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.rand(2, 4, 4), r"expected 1 or 3 channels, got the shape \(4, 4, 2\)"),
        (np.zeros((4, 4, 3)), "got an array of float64"),
        (torch.zeros(3, 4, 4, dtype=torch.int32), "got an array of int32"),
        ("a.png", "got a str"),
    ],
)
def test_other_images_are_refused_by_name(image, words) -> None:
    with pytest.raises(ImageError, match=words):
        from_torch([(image, 0)])


@pytest.mark.parametrize(
    ("labels", "more", "words"),
    [
        (["a", "b"], {}, "image 0: expected a class number or one number per finding as label, got 'a'"),
        ([0.5, 1], {}, "image 0: expected a class number 0, 1, ..., got 0.5"),
        ([-1, 1], {}, "expected a class number"),
        ([[0, 2], [0, 1]], {}, r"expected 0, 1 or NaN for each finding, got \[0, 2\]"),
        ([[0, 1], 1], {}, "one number per finding, the same count for every image"),
        ([0, 5], {"classes": ("a", "b")}, "expected 6 class names for these labels, got 2"),
        ([0, 1, 2], {"task": "binary"}, "expected 3 class names|expected 2"),
        ([[0, 1], [1, 1]], {"task": "multiclass"}, "expected one class number as label for the task multiclass"),
        ([0, 1], {"patients": ["x"]}, "expected one patient for each of 2 images, got 1"),
        ([], {}, "expected at least one image, got an empty data set"),
    ],
)
def test_labels_that_do_not_fit_are_named(labels, more, words) -> None:
    with pytest.raises(DataError, match=words):
        from_torch(pairs(labels), **more)


def test_a_task_that_does_not_exist() -> None:
    with pytest.raises(PlanError, match="expected a task among binary, multiclass, multilabel, ordinal, got 'regression'"):
        from_torch(pairs([0, 1]), task="regression")
