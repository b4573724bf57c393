"""Subgroups of the images by what the data tell of each: sex, age, site, device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from robustdx.catalogue import unknown
from robustdx.data import Dataset
from robustdx.errors import PlanError

UNKNOWN = "unknown"
"""The group of images of which the column says nothing."""
FILE = "subgroups.json"
"""By column, the group of each image: {"sex": {"order": ["female", ...], "of": {id: group}}}."""
SEVERAL = 8
"""Numbers with more different values than this are cut into quarters."""


def subgroups(dataset: Dataset, columns: Sequence[str]) -> dict[str, dict[str, object]]:
    """The groups of every column.

    Raises:
        PlanError: the data have no such column; says which there are.
    """
    known = dict.fromkeys(name for e in dataset.examples for name in e.attributes)
    for column in columns:
        if column not in known:
            there = ", ".join(sorted(known)) or "none at all"
            raise PlanError(f"subgroups: {unknown('column of the data', column, known)}; columns there are: {there}")
    return {column: _grouped(column, {e.id: str(e.attributes.get(column, "")).strip() for e in dataset.examples}) for column in columns}


def _grouped(column: str, values: Mapping[str, str]) -> dict[str, object]:
    numbers = _numbers(values)
    if numbers is None or (len(set(numbers.values())) <= SEVERAL and not _is_age(column)):
        named = {i: v or UNKNOWN for i, v in values.items()}
    else:
        cut = _decades(numbers) if _is_age(column) else _quarters(numbers)
        named = {i: cut.get(i, UNKNOWN) for i in values}
    return {"order": _order(set(named.values())), "of": named}


def _numbers(values: Mapping[str, str]) -> dict[str, float] | None:
    """The values as numbers; None where one of those that are there is none."""
    try:
        found = {i: float(v) for i, v in values.items() if v and v.lower() not in ("nan", UNKNOWN)}
    except ValueError:
        return None
    return found or None


def _is_age(column: str) -> bool:
    return "age" in column.lower().replace("-", "_").split("_")


def _decades(numbers: Mapping[str, float]) -> dict[str, str]:
    return {i: f"{int(v // 10) * 10} to {int(v // 10) * 10 + 9}" for i, v in numbers.items()}


def _quarters(numbers: Mapping[str, float]) -> dict[str, str]:
    edges = np.unique(np.quantile(list(numbers.values()), (0, 0.25, 0.5, 0.75, 1)))
    if len(edges) < 2:
        return {i: f"{v:g}" for i, v in numbers.items()}
    names = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return {i: names[min(len(names) - 1, int(np.searchsorted(edges[1:-1], v, side="right")))] for i, v in numbers.items()}


def _order(names: set[str]) -> list[str]:
    """Numbers by size, words by name, what is not known last."""

    def place(name: str) -> tuple[bool, float, str]:
        try:
            return name == UNKNOWN, float(name.partition(" to ")[0]), name
        except ValueError:
            return name == UNKNOWN, float("inf"), name

    return sorted(names, key=place)
