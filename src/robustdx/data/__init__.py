"""Labelled images, from wherever they lie: `load_dataset("folder:scans,patient=(P\\d+)_")`."""

from __future__ import annotations

import re
import typing

from robustdx.catalogue import Catalogue, build
from robustdx.data.csv_file import CsvFile
from robustdx.data.folder import Folder
from robustdx.data.frozen import Frozen
from robustdx.data.ham10000 import Ham10000
from robustdx.data.isic import Isic2017, Isic2019
from robustdx.data.medmnist import MedMNIST
from robustdx.data.protocol import Dataset, Example, Kind, Pixels
from robustdx.data.synthetic import Synthetic
from robustdx.errors import PlanError

SOURCES = Catalogue(
    "data source",
    {
        "synthetic": Synthetic,
        "folder": Folder,
        "csv": CsvFile,
        "medmnist": MedMNIST,
        "ham10000": Ham10000,
        "isic2017": Isic2017,
        "isic2019": Isic2019,
        "frozen": Frozen,
    },
)
"""Every kind of data, by the word before the colon; its settings are the options after the commas."""

__all__ = ["SOURCES", "Dataset", "Example", "Kind", "Pixels", "load_dataset", "path_of"]


def load_dataset(source: str) -> Dataset:
    """The data that `NAME:PATH,option=value,...` stands for; `synthetic` needs no path.

    Options start at a comma that is followed by `word=`, so a path may hold commas and spaces.

    Raises:
        PlanError: no such source or option (the nearest is named), or a value that does not fit.
        DataError: the data cannot be used.
    """
    name, path, options = _parts(source)
    cls = SOURCES.find(name)
    hints = typing.get_type_hints(cls)
    values: dict[str, str] = {key: value for key, _, value in (option.partition("=") for option in options)}
    if path:
        if "path" not in hints:
            raise PlanError(f"data {name}: expected no path, got {path!r}: write {name!r} alone")
        values["path"] = path
    elif "path" in hints:
        raise PlanError(f"data {name}: expected a path, got {source!r}: write {name}:PATH")
    return build(cls, {k: _typed(v, hints.get(k)) for k, v in values.items()}, where=f"data {name}")()


def path_of(source: str) -> str:
    """The path among the words of a data source; empty where there is none."""
    return _parts(source)[1]


def _parts(source: str) -> tuple[str, str, list[str]]:
    """Name, path and options of a data source."""
    head, *options = re.split(r",(?=\w+=)", source)
    name, _, path = head.partition(":")
    return name, path, options


def _typed(value: str, wanted: object) -> str | int:
    return int(value) if wanted is int and re.fullmatch(r"\d+", value) else value
