"""Any images sorted into one folder per class."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import final

from robustdx.data.protocol import Dataset, Example
from robustdx.data.read import ENDINGS, read_example
from robustdx.data.split import split_name
from robustdx.errors import DataError, PlanError


@final
@dataclass(frozen=True)
class Folder:
    """One folder per class, with or without folders train, val and test above them.

    Training, validation, valid and testing are understood too, whatever the case; below a class folder, images may lie
    at any depth. Class names in alphabetical order are the model's outputs 0, 1, ...
    """

    path: str
    """The folder that holds the class folders, or train, val and test."""
    patient: str | None = None
    """A regular expression for the path below the class folder; its first group is the patient: `(Patient\\d+)_`."""
    classes: str | None = None
    """The class folders in the order of the model's outputs, joined by +: `benign+malignant`. Alphabetical by default."""

    def __call__(self) -> Dataset:
        """List the files; no image is opened.

        Raises:
            DataError: no class folders, a class folder without images, or a name in which the pattern finds no patient.
        """
        root = _descend(Path(self.path))
        found = [(split, folder) for split, parent in _splits(root) for folder in _folders(parent)]
        classes = _ordered({folder.name for _, folder in found}, self.classes, root)
        pattern = _compile(self.patient)
        examples = [
            Example(
                id=file.relative_to(root).as_posix(),
                label=classes.index(folder.name),
                patient=_patient(pattern, file.relative_to(folder)),
                split=split,
                file=str(file),
            )
            for split, folder in found
            for file in _images(folder)
        ]
        return Dataset(Path(self.path).resolve().name, classes, "binary" if len(classes) == 2 else "multiclass", examples, read_example)


def _descend(root: Path) -> Path:
    """Go down while there is nothing but one folder of folders: what an unpacked archive looks like."""
    if not root.is_dir():
        raise DataError(f"expected the folder {root}, which is not there: check the path")
    inner = _folders(root)
    while len(inner) == 1 and split_name(inner[0].name) is None and len(_folders(inner[0])) > 0:
        root, inner = inner[0], _folders(inner[0])
    return root


def _folders(parent: Path) -> list[Path]:
    return sorted(f for f in parent.iterdir() if f.is_dir() and not f.name.startswith((".", "__")))


def _splits(root: Path) -> list[tuple[str | None, Path]]:
    """The folders that hold class folders, with the split they stand for."""
    folders = _folders(root)
    named = [(split_name(f.name), f) for f in folders]
    if not any(split for split, _ in named):
        return [(None, root)]
    others = [f.name for split, f in named if split is None]
    if others:
        raise DataError(f"{root}: expected only train, val and test beside one another, got also {', '.join(others)}: move it elsewhere")
    if len({split for split, _ in named}) < len(named):
        raise DataError(
            f"{root}: expected one folder for each split, got {', '.join(f.name for f in folders)}: merge those that mean the same"
        )
    return list(named)


def _ordered(names: set[str], wanted: str | None, root: Path) -> tuple[str, ...]:
    if len(names) < 2:
        here = ", ".join(sorted(names)) or "none"
        raise DataError(f"{root}: expected at least two class folders with images, got {here}: make one folder for each class")
    if wanted is None:
        return tuple(sorted(names))
    classes = tuple(wanted.split("+"))
    if set(classes) != names or len(classes) != len(names):
        raise DataError(f"{root}: expected class folders {', '.join(classes)}, got {', '.join(sorted(names))}: name each folder once")
    return classes


def _images(folder: Path) -> list[Path]:
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in ENDINGS and f.is_file() and not f.name.startswith("."))
    for file in files:
        if any("\udc80" <= c <= "\udcff" for c in str(file)):  # what is not UTF-8 comes as lone surrogates, which no record can hold
            raise DataError(f"{folder}: expected file names in UTF-8, got {file.name!r}: rename the file")
    if not files:
        raise DataError(
            f"{folder}: expected images of this class, found none that end in {', '.join(sorted(ENDINGS))}: fill or remove the folder"
        )
    return files


def _compile(pattern: str | None) -> re.Pattern[str] | None:
    try:
        return None if pattern is None else re.compile(pattern)
    except re.error as error:
        raise PlanError(f"patient: expected a regular expression, got {pattern!r} ({error})") from None


def _patient(pattern: re.Pattern[str] | None, name: Path) -> str | None:
    if pattern is None:
        return None
    match = pattern.search(name.as_posix())
    patient = match and (match.group(1) if pattern.groups else match.group(0))
    if not patient:
        raise DataError(f"patient: expected {pattern.pattern!r} to find the patient in every name, got nothing in {name.as_posix()!r}")
    return patient
