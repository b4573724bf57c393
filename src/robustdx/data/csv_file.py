"""Any images named in a CSV table, with a label or one column per finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import final

from robustdx.data.masks import read_mask
from robustdx.data.protocol import Dataset, Example, Kind, Label
from robustdx.data.read import ENDINGS, read_example
from robustdx.data.split import split_name
from robustdx.data.tables import Row, read_table, require_column
from robustdx.errors import DataError

_FINDING = {"": nan, "0": 0.0, "0.0": 0.0, "1": 1.0, "1.0": 1.0}


@final
@dataclass(frozen=True)
class CsvFile:
    """One row per image: columns image and label, or one column per finding; optionally patient, split, anything else.

    A label is a class: all words, or all whole numbers. Without a column label, every column of 0, 1 and blanks (not
    annotated) is a finding. All other columns are kept as attributes.
    """

    path: str
    """The table. Image names are relative to its folder, to a folder beside it, or to `images`; endings may be left out."""
    images: str | None = None
    """The folder of the images, where it is not beside the table; relative to the table."""
    image: str = "image"
    """The column with the name of the image file."""
    label: str | None = None
    """The column with the class; `label` by default, if there is one."""
    findings: str | None = None
    """The columns that are findings, joined by +, where 0 and 1 alone do not tell: `Edema+Mass`."""
    patient: str | None = None
    """The column that names the patient; `patient` by default, if there is one."""
    split: str | None = None
    """The column with train, val or test; `split` by default, if there is one."""
    mask: str | None = None
    """The column with the file of a mask that is white where the lesion is; `mask` by default, if its values are files. Blank: none."""
    classes: str | None = None
    """The classes in the order of the model's outputs, joined by +. In order of number or alphabet by default."""

    def __call__(self) -> Dataset:
        """Read the table; no image is opened.

        Raises:
            DataError: a column or an image is missing, an image has two rows, or labels are mixed or blank.
        """
        path = Path(self.path)
        rows = read_table(path, needs=(self.image,))
        patient, split = _column(rows, self.patient, "patient", path), _column(rows, self.split, "split", path)
        files = _files([row[self.image] for row in rows], path.parent / (self.images or ""), path)
        mask = _column(rows, self.mask, "mask", path)
        if self.mask is None and mask and not any(row[mask] and (path.parent / row[mask]).is_file() for row in rows):
            mask = None  # a column of that name that says something else
        used = [c for c in (self.image, patient, split, mask) if c is not None]
        kind, classes, labels, labelled = self._labels(rows, used, path)
        examples = [
            Example(
                id=row[self.image],
                label=label,
                patient=_filled(row, patient, path),
                split=_split(row, split, path),
                file=str(file),
                mask=_mask(row[mask], path.parent, path) if mask else "",
                attributes={k: v for k, v in row.items() if v and k not in used and k not in labelled},
            )
            for row, label, file in zip(rows, labels, files, strict=True)
        ]
        return Dataset(f"{path.resolve().parent.name}/{path.name}", classes, kind, examples, read_example, mask=read_mask)

    def _labels(self, rows: Sequence[Row], used: Sequence[str], path: Path) -> tuple[Kind, tuple[str, ...], list[Label], Sequence[str]]:
        """Kind, class names, the label of each row, and the columns it was read from."""
        label = None if self.findings else _column(rows, self.label, "label", path)
        if label is not None:
            words = _class_words([row[label] for row in rows], label, path)
            classes = _class_names(set(words), self.classes, path)
            return ("binary" if len(classes) == 2 else "multiclass"), classes, [classes.index(w) for w in words], [label]
        columns = self.findings.split("+") if self.findings else [c for c in rows[0] if c not in used and _is_finding(rows, c, path)]
        if len(columns) < 2:
            here = ", ".join(columns) or "none"
            raise DataError(
                f"{path}: expected a column label or at least two columns of 0 and 1, got {here}: name the class column with label=COLUMN"
            )
        for column in columns:
            require_column(rows, column, path)
        values: list[Label] = [tuple(_finding(row, c, number, path) for c in columns) for number, row in enumerate(rows, start=2)]
        return "multilabel", tuple(columns), values, columns


def _column(rows: Sequence[Row], named: str | None, usual: str, path: Path) -> str | None:
    """The column asked for, which must be there, or the usual one, if it is there."""
    if named is not None:
        require_column(rows, named, path)
        return named
    return usual if usual in rows[0] else None


def _filled(row: Row, column: str | None, path: Path) -> str | None:
    if column is None:
        return None
    if not row[column]:
        raise DataError(
            f"{path}: expected a value in the column {column!r} of every row, got a blank for {next(iter(row.values()))!r}: fill it in"
        )
    return row[column]


def _mask(name: str, folder: Path, path: Path) -> str:
    if name and not (folder / name).is_file():
        raise DataError(f"{path}: expected the mask {name!r} beside the table, which is not there: give its path from {folder}")
    return str(folder / name) if name else ""


def _split(row: Row, column: str | None, path: Path) -> str | None:
    word = _filled(row, column, path)
    return word and (split_name(word) or word)


def _class_words(words: list[str], column: str, path: Path) -> list[str]:
    """The labels in one spelling: 1 and 1.0 are the same class."""
    numbers = {w for w in words if _is_number(w)}
    for number, word in enumerate(words, start=2):
        if not word:
            raise DataError(f"{path}: expected a label in every row, got a blank in row {number}: fill it in or drop the row")
        if numbers and word not in numbers:
            raise DataError(
                f"{path}: expected labels that are all words or all numbers in {column!r}, got {word!r} in row {number} beside numbers"
            )
        if numbers and not float(word).is_integer():
            raise DataError(f"{path}: expected whole numbers as labels in {column!r}, got {word!r} in row {number}")
    return [str(int(float(w))) for w in words] if numbers else words


def _class_names(words: set[str], wanted: str | None, path: Path) -> tuple[str, ...]:
    if wanted is not None:
        classes = tuple(wanted.split("+"))
        if not words <= set(classes) or len(set(classes)) < len(classes):
            raise DataError(f"{path}: expected labels among {', '.join(classes)}, got also {', '.join(sorted(words - set(classes)))}")
    else:
        classes = tuple(sorted(words, key=(lambda w: (int(w), w)) if all(map(_is_number, words)) else str))
    if len(classes) < 2:
        raise DataError(f"{path}: expected at least two classes, got only {', '.join(classes)}: name another column with label=COLUMN")
    return classes


def _is_number(word: str) -> bool:
    try:
        return float(word) == float(word)  # "nan" is a word
    except ValueError:
        return False


def _is_finding(rows: Sequence[Row], column: str, path: Path) -> bool:
    """Whether a column holds 0 and 1 only; one that nearly does is refused, since a slip would drop the finding."""
    values = [row[column] for row in rows if row[column]]
    odd = [v for v in values if v not in _FINDING]
    if values and odd and len(odd) < 0.05 * len(values):
        raise DataError(
            f"{path}: expected 0, 1 or blank in {column!r}, got {odd[0]!r} among them: correct it or name the findings with findings=A+B"
        )
    return bool(values) and not odd


def _finding(row: Row, column: str, number: int, path: Path) -> float:
    if row[column] not in _FINDING:
        raise DataError(f"{path}: expected 0, 1 or blank in {column!r}, got {row[column]!r} in row {number}: correct it")
    return _FINDING[row[column]]


def _files(names: Sequence[str], folder: Path, path: Path) -> list[Path]:
    """The file of each name, or of each name without its ending."""
    if not folder.is_dir():
        raise DataError(f"expected the folder of images {folder}, which is not there: check images=FOLDER")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        rows = [str(i) for i, name in enumerate(names, start=2) if name == twice[0]]
        raise DataError(
            f"{path}: expected one row for each image, got {len(rows)} for {twice[0]!r} in rows {', '.join(rows)}: keep the right one"
        )
    known = _index(folder) if not all((folder / name).is_file() for name in names) else {}
    files = [folder / name if name and (folder / name).is_file() else known.get(name) for name in names]
    missing = [f"{name!r} (row {i})" for i, (name, file) in enumerate(zip(names, files, strict=True), start=2) if file is None]
    if missing:
        raise DataError(
            f"{path}: expected a file for every image, found none in {folder} for {len(missing)} such as {missing[0]}: give images=FOLDER"
        )
    return _distinct([f for f in files if f is not None], names, path)


def _index(folder: Path) -> dict[str, Path]:
    """Files by name and by name without ending: in the folder, then `images`, then its other folders in order."""
    inner = sorted((f for f in folder.iterdir() if f.is_dir()), key=lambda f: (f.name != "images", "image" not in f.name.lower(), f.name))
    found: dict[str, Path] = {}
    for place in (folder, *inner):
        for file in _image_files(place):
            found.setdefault(file.name, file)
            found.setdefault(file.stem, file)
    return found


def _image_files(place: Path) -> Iterable[Path]:
    return sorted(f for f in place.iterdir() if f.suffix.lower() in ENDINGS)


def _distinct(files: list[Path], names: Sequence[str], path: Path) -> list[Path]:
    first: dict[Path, str] = {}
    for file, name in zip(files, names, strict=True):
        if first.setdefault(file, name) != name:
            raise DataError(
                f"{path}: expected one row for each image, got {first[file]!r} and {name!r} for {file.name}: keep the right one"
            )
    return files
