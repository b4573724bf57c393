"""Arrays in one .npz file, laid out as the MedMNIST collection does (Yang et al. 2023, doi:10.1038/s41597-022-01721-8)."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import final

import numpy as np

from robustdx.data.protocol import Dataset, Example, Kind, Label, Pixels
from robustdx.data.read import resized
from robustdx.errors import DataError

_SPLITS = ("train", "val", "test")


@final
@dataclass(frozen=True)
class MedMNIST:
    """train_images, train_labels, and the same for val and test: 8-bit (N, H, W) or (N, H, W, 3), labels (N, 1) or (N, L).

    One column of labels is the class; several are findings, each 0, 1 or NaN. Objects in the file, which could run
    code, are refused.
    """

    path: str
    """The .npz file."""
    classes: str | None = None
    """The class or finding names, joined by +; numbers by default."""

    def __call__(self) -> Dataset:
        """Load the arrays.

        Raises:
            DataError: the file, an array or its type or shape is not as described.
        """
        arrays = _load(Path(self.path))
        splits = [s for s in _SPLITS if f"{s}_images" in arrays]
        if not splits:
            raise DataError(f"{self.path}: expected train_images and train_labels, got {', '.join(arrays) or 'nothing'}: rename the arrays")
        labels = {s: _labels(arrays, s, self.path) for s in splits}
        images = {s: _images(arrays, s, len(labels[s]), self.path) for s in splits}
        kind, names = _meaning(list(labels.values()), self.classes, self.path)
        examples = [
            Example(id=f"{s}/{i:06d}", label=_label(row), split=s, attributes={"index": str(i)})
            for s in splits
            for i, row in enumerate(labels[s])
        ]
        return Dataset(Path(self.path).stem, names, kind, examples, Arrays(images))


class Arrays:
    """`Dataset.read` of arrays: one stack of images for each split."""

    def __init__(self, images: dict[str, np.ndarray]) -> None:
        self.images = images

    def __call__(self, example: Example, size: tuple[int, int] | None, channels: int) -> Pixels:
        """The pixels, resized by antialiased bilinear, in grey or colour."""
        return resized(self._stored(example), size, channels)

    def fingerprint(self, example: Example) -> str:
        """Tells other pixels under the same id."""
        return blake2b(self._stored(example).tobytes(), digest_size=16).hexdigest()

    def _stored(self, example: Example) -> np.ndarray:
        split, _, index = example.id.partition("/")
        return self.images[split][int(index)]


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise DataError(f"expected the file {path}, which is not there: check the path") from None
    except (ValueError, OSError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: expected an .npz file of plain number arrays, got one that cannot be read ({error})") from None


def _images(arrays: dict[str, np.ndarray], split: str, count: int, path: str) -> np.ndarray:
    images = arrays[f"{split}_images"]
    if images.dtype != np.uint8:
        raise DataError(f"{path}: expected 8-bit values (uint8) in {split}_images, got {images.dtype}: store raw pixels from 0 to 255")
    if not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))) or len(images) != count:
        raise DataError(f"{path}: expected {split}_images of {count} grey (H, W) or colour (H, W, 3) images, got the shape {images.shape}")
    return images


def _labels(arrays: dict[str, np.ndarray], split: str, path: str) -> np.ndarray:
    name = f"{split}_labels"
    if name not in arrays:
        raise DataError(f"{path}: expected the array {name}, got {', '.join(arrays)}: add the labels")
    labels = arrays[name]
    if labels.dtype.kind not in "biuf" or labels.ndim not in (1, 2) or not labels.size:
        raise DataError(f"{path}: expected numbers of shape (N, 1) or (N, L) in {name}, got {labels.dtype} of shape {labels.shape}")
    labels = labels.reshape(len(labels), -1).astype(np.float64)
    known = labels[~np.isnan(labels)] if labels.shape[1] > 1 else labels
    allowed = (np.isin(known, (0, 1)) if labels.shape[1] > 1 else (known >= 0) & (known == np.floor(known))).all()
    if not allowed:
        wanted = "0, 1 or NaN for each finding" if labels.shape[1] > 1 else "class numbers 0, 1, ..."
        raise DataError(f"{path}: expected {wanted} in {name}, got values from {labels.min():g} to {labels.max():g}")
    return labels


def _meaning(labels: list[np.ndarray], classes: str | None, path: str) -> tuple[Kind, tuple[str, ...]]:
    widths = {a.shape[1] for a in labels}
    if len(widths) > 1:
        raise DataError(f"{path}: expected labels of one width in all splits, got {', '.join(map(str, sorted(widths)))} columns")
    width = widths.pop()
    count = width if width > 1 else max(2, 1 + int(max(a.max() for a in labels)))
    names = tuple(classes.split("+")) if classes else tuple(map(str, range(count)))
    if len(names) != count:
        raise DataError(f"{path}: expected {count} class names, got {len(names)}: {', '.join(names)}")
    return ("multilabel" if width > 1 else "binary" if count == 2 else "multiclass"), names


def _label(row: np.ndarray) -> Label:
    return int(row[0]) if len(row) == 1 else tuple(row.tolist())
