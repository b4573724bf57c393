"""Files that stand out from their set: they are read, but somebody should look at them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robustdx.data.inspection.fingerprint import Fingerprint
from robustdx.data.protocol import Dataset
from robustdx.data.read import ENDINGS

_TINY = 32
"""Shorter side below which an image is tiny, unless the set's images usually are."""
_FLAT = 2.0
"""Standard deviation in grey levels below which an image shows nothing."""
_GREY = 1.0
"""Mean difference of the channels, in grey levels, below which an image is grey."""
_FACTOR = 3.0
"""How many times narrower, wider, longer or more drawn out than the set's median makes an outlier."""
_RARE = 0.05
"""Share of the set above which a property is not odd but usual."""


def oddities(prints: Sequence[Fingerprint]) -> dict[int, str]:
    """What is odd about each image that is, by position."""
    read = [i for i, p in enumerate(prints) if p.pixels]
    if not read:
        return {}
    size = np.array([prints[i].size for i in read], dtype=float)
    usual = np.median(size, axis=0)
    short, form = size.min(1), size[:, 1] / size[:, 0]
    ratio = np.maximum(size / usual, usual / size).max(1)
    stretch = np.maximum(form / np.median(form), np.median(form) / form)
    grey = np.array([prints[i].colour < _GREY for i in read])
    marks = {
        "shows nothing: all of one grey": np.array([prints[i].spread < _FLAT for i in read]),
        f"tiny: under {_TINY} pixels": (short < _TINY) & (usual.min() >= _TINY),
        f"unlike the usual size {usual[1]:.0f} x {usual[0]:.0f}": _rare(ratio > _FACTOR),
        "of another shape than the rest": _rare((stretch > _FACTOR) & (ratio <= _FACTOR)),
        "grey among colour images": _rare(grey),
        "colour among grey images": _rare(~grey),
    }
    words = {i: [_marked(what, prints[i]) for what, is_so in marks.items() if is_so[k]] for k, i in enumerate(read)}
    return {i: "; ".join(what) for i, what in words.items() if what}


def unlisted(dataset: Dataset) -> list[str]:
    """Image files in the set's own folders that no example names."""
    listed = {Path(e.file).resolve() for e in dataset.examples if e.file}
    folders = {file.parent for file in listed}
    return sorted(
        str(file)
        for folder in folders
        if folder.is_dir()
        for file in folder.iterdir()
        if file.suffix.lower() in ENDINGS and not file.name.startswith(".") and file.resolve() not in listed
    )


def _marked(what: str, image: Fingerprint) -> str:
    return f"{what}: {image.size[1]} x {image.size[0]}" if "size" in what else what


def _rare(marked: np.ndarray) -> np.ndarray:
    """The marks, unless they are too many to be odd."""
    return marked if marked.mean() <= _RARE else np.zeros_like(marked)
