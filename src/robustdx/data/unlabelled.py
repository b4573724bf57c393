"""A folder of images that nobody has sorted: enough for what asks no network and needs no label."""

from __future__ import annotations

from pathlib import Path

from robustdx.data.protocol import Dataset, Example
from robustdx.data.read import ENDINGS, read_example
from robustdx.errors import DataError

CLASSES = ("unlabelled",)
"""What every image of such a folder is called."""


def unlabelled(folder: Path) -> Dataset:
    """All images of a folder, at any depth, in the order of their names; their ids are their paths.

    Raises:
        DataError: there is none.
    """
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in ENDINGS and f.is_file() and not f.name.startswith("."))
    if not files:
        raise DataError(f"{folder}: expected images, found none that end in {', '.join(sorted(ENDINGS))}: check the path")
    examples = [Example(f.relative_to(folder).as_posix(), 0, file=str(f)) for f in files]
    return Dataset(folder.resolve().name, CLASSES, "multiclass", examples, read_example)
