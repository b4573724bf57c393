"""A torch data set of the user's own as a Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from robustdx.data.masks import require_proportions, scaled
from robustdx.data.protocol import Dataset, Example, Kind, Label, Mask, Pixels
from robustdx.data.read import resized
from robustdx.errors import DataError, ImageError, PlanError
from robustdx.tensors import require_pixels


def from_torch(
    dataset: Any,
    classes: Sequence[str] | None = None,
    task: Kind | None = None,
    patients: Sequence[object] | None = None,
    name: str = "in memory",
    masks: Sequence[Any] | None = None,
) -> Dataset:
    """Wrap any torch data set that yields (image, label): every image is asked for once and kept with 8 bits a pixel.

    An image is a float tensor (C, H, W) in [0, 1], 8-bit values (C, H, W) as a tensor or (H, W) or (H, W, C) as an
    array, or a Pillow image. A label is a class number, or one of 0, 1, NaN per finding. `task` is what the labels mean,
    read from the labels where it is None; `patients` names the patient of each image; `masks` has an array
    (H, W) for each, 1 (or 255, or True) inside its region, or None.

    Raises:
        ImageError: an image outside [0, 1], of another type or shape.
        DataError: labels that do not fit the task or the classes, or not one patient or mask for each image.
        PlanError: a task that does not exist.
    """
    if task is not None and task not in get_args(Kind):
        raise PlanError(f"expected a task among {', '.join(get_args(Kind))}, got {task!r}")
    items = _items(dataset, name)
    if patients is not None and len(patients) != len(items):
        raise DataError(f"{name}: expected one patient for each of {len(items)} images, got {len(patients)}")
    if masks is not None and len(masks) != len(items):
        raise DataError(f"{name}: expected one mask for each of {len(items)} images (None where it has none), got {len(masks)}")
    labels = [_label(item[1], f"{name}: image {i}") for i, item in enumerate(items)]
    kind = task or _kind(labels, classes)
    names = _names(labels, kind, classes, name)
    pixels = {f"{i:06d}": _pixels(item[0], f"{name}: image {i}") for i, item in enumerate(items)}
    owners = [None] * len(items) if patients is None else [str(p) for p in patients]
    examples = [Example(id=i, label=label, patient=owner) for i, label, owner in zip(pixels, labels, owners, strict=True)]
    drawn = None if masks is None else Drawn(dict(zip(pixels, masks, strict=True)), pixels)
    return Dataset(name, names, kind, examples, Kept(pixels), mask=drawn)


def channels_of(dataset: Dataset) -> int:
    """1 where every image kept in memory is grey, otherwise 3."""
    kept = dataset.read.pixels.values() if isinstance(dataset.read, Kept) else ()
    return 1 if kept and all(p.ndim == 2 or p.shape[2] == 1 for p in kept) else 3


class Kept:
    """`Dataset.read` of a set whose images are in memory, each at its own size."""

    def __init__(self, pixels: dict[str, Pixels]) -> None:
        self.pixels = pixels

    def __call__(self, example: Example, size: tuple[int, int] | None, channels: int) -> Pixels:
        """The pixels, resized by antialiased bilinear, in grey or colour."""
        return resized(self.pixels[example.id], size, channels)

    def fingerprint(self, example: Example) -> str:
        """Tells other pixels under the same id."""
        return blake2b(self.pixels[example.id].tobytes(), digest_size=16).hexdigest()


class Drawn:
    """`Dataset.mask` of a set whose masks are in memory."""

    def __init__(self, masks: dict[str, Any], pixels: dict[str, Pixels]) -> None:
        self.masks = {i: self._checked(mask, pixels[i], i) for i, mask in masks.items() if mask is not None}

    def __call__(self, example: Example, size: tuple[int, int]) -> Mask | None:
        return scaled(self.masks[example.id], size) if example.id in self.masks else None

    def fingerprint(self, example: Example) -> str | None:
        """Tells another mask under the same id."""
        return blake2b(self.masks[example.id].tobytes(), digest_size=16).hexdigest() if example.id in self.masks else None

    @staticmethod
    def _checked(mask: Any, pixels: Pixels, image: str) -> Mask:
        values, where = np.asarray(mask.cpu() if isinstance(mask, Tensor) else mask).squeeze(), f"mask of image {int(image)}"
        if values.ndim != 2 or not np.isin(values, (0, 1, 255)).all():
            raise DataError(f"{where}: expected an array (H, W) of 0 and 1, or of 0 and 255, got {values.dtype} of shape {values.shape}")
        require_proportions(values > 0, pixels.shape[:2], where)
        return values > 0


def _items(dataset: Any, name: str) -> list[Any]:
    if not hasattr(dataset, "__len__"):
        raise DataError(f"{name}: expected a data set with a length and an index, got {type(dataset).__name__}: make a list of its items")
    items = [dataset[i] for i in range(len(dataset))]
    if not items:
        raise DataError(f"{name}: expected at least one image, got an empty data set")
    odd = next((item for item in items if not isinstance(item, tuple | list) or len(item) < 2), None)
    if odd is not None:
        raise DataError(f"{name}: expected (image, label) for each index, got {type(odd).__name__}: let the data set return both")
    return items


def _pixels(image: Any, where: str) -> Pixels:
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    if isinstance(image, Tensor):
        image = _from_tensor(image.detach().cpu(), where)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        came = f"an array of {image.dtype}" if isinstance(image, np.ndarray) else f"a {type(image).__name__}"
        raise ImageError(
            f"{where}: expected a float tensor in [0, 1], 8-bit values or a Pillow image, got {came}: convert it in the data set"
        )
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3)):
        return image
    raise ImageError(f"{where}: expected 1 or 3 channels, got the shape {tuple(image.shape)}: give (C, H, W) tensors or (H, W, C) arrays")


def _from_tensor(image: Tensor, where: str) -> np.ndarray:
    if image.dim() == 3:
        image = image.permute(1, 2, 0)
    if not image.is_floating_point():
        return image.numpy()
    try:
        require_pixels(image)
    except ImageError as refusal:
        raise ImageError(f"{where}: {refusal}") from None
    return (image.double().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _label(label: Any, where: str) -> Label:
    values = np.asarray(label.cpu() if isinstance(label, Tensor) else label, dtype=object)
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{where}: expected a class number or one number per finding as label, got {label!r}") from None
    if numbers.size == 1:
        if not numbers.item().is_integer() or numbers.item() < 0:
            raise DataError(f"{where}: expected a class number 0, 1, ..., got {label!r}")
        return int(numbers.item())
    if numbers.ndim != 1 or not (np.isnan(numbers) | np.isin(numbers, (0, 1))).all():
        raise DataError(f"{where}: expected 0, 1 or NaN for each finding, got {label!r}")
    return tuple(numbers.tolist())


def _kind(labels: Sequence[Label], classes: Sequence[str] | None) -> Kind:
    if any(isinstance(label, tuple) for label in labels):
        return "multilabel"
    return "binary" if (len(classes) if classes else 1 + _largest(labels)) <= 2 else "multiclass"


def _largest(labels: Sequence[Label]) -> int:
    return max(label for label in labels if isinstance(label, int))


def _names(labels: Sequence[Label], kind: Kind, classes: Sequence[str] | None, name: str) -> tuple[str, ...]:
    """The class names, checked against the labels."""
    lengths = {len(label) if isinstance(label, tuple) else 0 for label in labels}
    if len(lengths) > 1 or (kind == "multilabel") != (0 not in lengths):
        wanted = "one number per finding, the same count for every image" if kind == "multilabel" else "one class number"
        raise DataError(f"{name}: expected {wanted} as label for the task {kind}, got other labels: check task and labels")
    count = lengths.pop() if kind == "multilabel" else max(1 + _largest(labels), 2)
    names = tuple(classes or map(str, range(count)))
    if len(names) < count or (kind == "multilabel" and len(names) > count) or (kind == "binary" and len(names) != 2):
        raise DataError(f"{name}: expected {count} class names for these labels, got {len(names)}: check classes and task")
    return names
