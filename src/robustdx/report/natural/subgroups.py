"""The same numbers by a column of the data. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robustdx.report.findings import Estimate
from robustdx.report.grids import Entry
from robustdx.report.natural.losses import named, points
from robustdx.report.numbers import DASH, count

Found = Mapping[str, Any]
COLUMNS = (
    ("Accuracy", "clean", "accuracy"),
    ("Balanced accuracy", "clean", "balanced_accuracy"),
    ("Calibration error", "clean", "ece"),
    ("Accuracy, perturbed", "metrics", "accuracy"),
    ("Change, points", "change", "accuracy"),
    ("Calibration error, perturbed", "metrics", "ece"),
    ("Flip probability", "flips", "flip_probability"),
)
"""Title, where the number stands in a group, and its name there."""


@dataclass(frozen=True)
class Row:
    """One group."""

    name: str
    images: str
    few: bool
    entries: Sequence[Entry]


@dataclass(frozen=True)
class Column:
    """A column of the data as a table: its groups down, the numbers across."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Row]


def subgroups(found: Found) -> list[Column]:
    """A table for each column; none where no groups were asked for."""
    return [_column(own) for own in found.get("subgroups", [])]


def _column(own: Found) -> Column:
    shown = [c for c in COLUMNS if any(_number(g, c) for g in own["groups"])]
    rows = [Row(g["group"], count(g["images"]), g["few"], [_entry(g, c) for c in shown]) for g in own["groups"]]
    return Column(named(own["column"]), [title for title, _, _ in shown], rows)


def _number(group: Found, column: tuple[str, str, str]) -> Found | None:
    _, place, name = column
    numbers = group.get("perturbed", {}).get(place, {}) if place in ("metrics", "change") else group.get(place, {})
    return numbers.get(name)


def _entry(group: Found, column: tuple[str, str, str]) -> Entry:
    e = _number(group, column)
    if e is None:
        return Entry(DASH)
    if column[1] == "change":
        return points(Estimate(e["value"], e["low"], e["high"]))
    return Entry(f"{100 * e['value']:.1f}", f"{100 * e['low']:.1f}{DASH}{100 * e['high']:.1f}")
