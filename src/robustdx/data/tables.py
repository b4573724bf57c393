"""Comma-separated tables as rows of words, and the one-hot tables of the ISIC challenges as labels."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from robustdx.errors import DataError

Row = dict[str, str]


def read_table(path: Path, needs: Sequence[str] = ()) -> list[Row]:
    """The rows of a CSV file (also with semicolons or tabs), one dictionary of stripped words each.

    Raises:
        DataError: no such file, not a text table, empty, a ragged row, or one of the columns in `needs` is missing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"expected the table {path}, which is not there: check the path") from None
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path}: expected a table as UTF-8 text, which cannot be read ({error}): save it as CSV") from None
    rows = _parse(text, path)
    if not rows:
        raise DataError(f"{path}: expected a header and at least one row, got none")
    for column in needs:
        require_column(rows, column, path)
    return rows


def require_column(rows: Sequence[Row], column: str, path: Path) -> None:
    """Refuse a table without the column, naming those it has."""
    if column not in rows[0]:
        raise DataError(f"{path}: expected a column {column!r}, got {', '.join(rows[0])}: rename it or name the column to use")


def by_image(path: Path, column: str, needs: Sequence[str] = ()) -> dict[str, Row]:
    """The rows of a table by the image that the column names.

    Raises:
        DataError: as `read_table`, or two rows for one image.
    """
    found: dict[str, Row] = {}
    for number, row in enumerate(read_table(path, (column, *needs)), start=2):
        image = row[column]
        if image in found:
            raise DataError(f"{path}: expected one row for each image, got a second one for {image!r} in line {number}: keep the right one")
        found[image] = row
    return found


def one_hot(row: Row, columns: Sequence[str], path: Path) -> int:
    """Which of the columns holds the single 1 of a row.

    Raises:
        DataError: a value that is not a number, or not exactly one 1.
    """
    image = next(iter(row.values()))
    try:
        values = [float(row[c]) for c in columns]
    except ValueError:
        raise DataError(f"{path}: expected numbers in {', '.join(columns)} for {image!r}, got {[row[c] for c in columns]}") from None
    if sorted(values) != [0.0] * (len(columns) - 1) + [1.0]:
        raise DataError(f"{path}: expected exactly one 1 among {', '.join(columns)} for {image!r}, got {values}")
    return values.index(1.0)


def _parse(text: str, path: Path) -> list[Row]:
    header = text.partition("\n")[0]
    separator = "," if "," in header else ";" if ";" in header else "\t"
    try:
        lines = [line for line in csv.reader(text.splitlines(), delimiter=separator) if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise DataError(f"{path}: expected a table of comma-separated values, got text that is none ({error})") from None
    names = [name.strip() for name in lines[0]] if lines else []
    if len(set(names)) < len(names):
        raise DataError(f"{path}: expected column names that differ, got {', '.join(names)}")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(names):
            raise DataError(f"{path}: expected {len(names)} values in every row, got {len(line)} in row {number}")
    return [dict(zip(names, (cell.strip() for cell in line), strict=True)) for line in lines[1:]]
