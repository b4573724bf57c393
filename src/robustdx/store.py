"""A run on disk: whole or not there. No torch.

    RUN/
      plan.json               what was asked; a folder belongs to one plan
      cells/KEY/cell.json     which cell this is
      cells/KEY/part-0000.parquet ...     one file per batch, while the cell is being made
      cells/KEY/records.parquet           all of them; the cell is whole once this exists
      cells/KEY/times.json                seconds, which differ from run to run and so stand apart
      manifest.json           written last: the run is whole

Every file is written beside its place and moved there, so a process that dies leaves the old file or the new one. To
resume is to skip what is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from robustdx.errors import RunError
from robustdx.records import Cell, dump_cell, parse_cell, read_table, write_table


@dataclass(frozen=True)
class Store:
    """The folder of one run."""

    path: Path

    @classmethod
    def open(cls, path: Path, plan: Mapping[str, Any]) -> Store:
        """Begin a run in an empty or new folder, or go on with the same plan's.

        Raises:
            RunError: the folder holds another plan's run, or something else.
        """
        store = cls(Path(path))
        store.require(plan)
        if not store.plan_file.exists():
            try:
                store.write_text("plan.json", json.dumps(plan, indent=1, sort_keys=True))
            except RunError:
                with suppress(OSError):
                    store.path.rmdir()  # only where it is empty: no run has begun
                raise
        return store

    def require(self, plan: Mapping[str, Any]) -> None:
        """Refuse a folder that holds another plan's run, or something else. Nothing is written.

        Raises:
            RunError: says what differs.
        """
        if self.plan_file.is_file():
            stored, wanted = self._stored(), json.loads(json.dumps(plan))
            if stored != wanted:
                changed = _difference(stored, wanted)
                raise RunError(f"{self.path} holds the run of another plan ({changed}): give another --out, or remove the folder")
            return
        with refusing_disk_errors(self.path):
            fresh = not self.path.exists() or (self.path.is_dir() and all(p.suffix == ".part" for p in self.path.iterdir()))
        if not fresh:
            raise RunError(f"expected a new or empty folder, or a run of robustdx; {self.path} is neither: give another --out")

    @property
    def plan_file(self) -> Path:
        return self.path / "plan.json"

    def belongs_to(self, plan: Mapping[str, Any]) -> bool:
        """Whether this is the run of a plan."""
        return self.plan_file.is_file() and self._stored() == json.loads(json.dumps(plan))

    @property
    def whole(self) -> bool:
        """Whether the run was finished."""
        return (self.path / "manifest.json").exists()

    def has(self, cell: Cell) -> bool:
        """Whether a cell is whole."""
        return (self.path / home(cell) / "records.parquet").exists()

    def parts(self, cell: Cell) -> int:
        """How many batches of an unfinished cell are kept."""
        return next(n for n in range(10**9) if not (self.path / part(cell, n)).exists())

    def add_part(self, cell: Cell, n: int, records: pa.Table, seconds: float) -> None:
        """Keep batch n of a cell, and add its seconds to those of the cell."""
        before = self.seconds(cell) if n > 0 else 0.0
        self.write_text(home(cell) / "times.json", json.dumps({"seconds": round(before + seconds, 3)}))
        self.write(part(cell, n), lambda p: write_table(records, p))

    def finish(self, cell: Cell, parts: int) -> None:
        """Make a cell whole out of its parts."""
        records = pa.concat_tables([read_table(self.path / part(cell, i)) for i in range(parts)], promote_options="default")
        self.write_text(home(cell) / "cell.json", dump_cell(cell))
        self.write(home(cell) / "records.parquet", lambda p: write_table(records, p))
        for i in range(parts):
            (self.path / part(cell, i)).unlink(missing_ok=True)

    def finish_run(self) -> None:
        """Say that the run is whole."""
        names = sorted(cell.key for cell in self._whole())
        for leftover in [*self.path.rglob("*.part"), *self.path.glob("cells/*/part-*.parquet")]:
            leftover.unlink()  # of a process that died between two steps
        self.write_text("manifest.json", json.dumps({"schema": 1, "cells": names}, indent=1))

    def cells(self) -> Iterator[tuple[Cell, pa.Table]]:
        """The whole cells of attacks and of images as they came, by name, with their records."""
        return self._read("")

    def natural(self, kind: str) -> Iterator[tuple[Cell, pa.Table]]:
        """The whole cells of one kind without an adversary (see `Cell.natural`), by name, with their records."""
        return self._read(kind)

    def _read(self, kind: str) -> Iterator[tuple[Cell, pa.Table]]:
        return ((cell, self.records(cell)) for cell in self._whole() if cell.natural == kind)

    def _whole(self) -> Iterator[Cell]:
        for folder in sorted((self.path / "cells").glob("*")):
            if (folder / "records.parquet").exists():
                yield parse_cell((folder / "cell.json").read_text(encoding="utf-8"))

    def records(self, cell: Cell) -> pa.Table:
        """The records of one whole cell."""
        return read_table(self.path / home(cell) / "records.parquet")

    def seconds(self, cell: Cell) -> float:
        """How long a whole cell took."""
        path = self.path / home(cell) / "times.json"
        return float(json.loads(path.read_text(encoding="utf-8"))["seconds"]) if path.exists() else 0.0

    def write_text(self, where: str | Path, text: str) -> None:
        """Write a text file whole or not at all; `where` is relative to the run."""
        self.write(where, lambda p: p.write_text(text, encoding="utf-8"))

    def write_json(self, where: str | Path, content: Any) -> None:
        """Write JSON whole or not at all. What JSON cannot say (NaN) is refused."""
        self.write_text(where, json.dumps(content, indent=1, allow_nan=False))

    def read_json(self, where: str | Path) -> Any:
        """Read JSON; `where` is relative to the run."""
        return json.loads((self.path / where).read_text(encoding="utf-8"))

    def write_bytes(self, where: str | Path, content: bytes) -> None:
        """Write a binary file whole or not at all."""
        self.write(where, lambda p: p.write_bytes(content))

    def write(self, where: str | Path, fill: Callable[[Path], object]) -> None:
        """Write a file whole or not at all: `fill` writes it beside its place, then it is moved there."""
        path = self.path / where
        with refusing_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_with(path, fill)

    def _stored(self) -> dict[str, Any]:
        """The plan that the folder belongs to."""
        try:
            return dict(json.loads(self.plan_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise RunError(
                f"expected the plan of a run in {self.plan_file}, got {error}: give another --out, or remove the folder"
            ) from error


def home(cell: Cell) -> Path:
    """The folder of a cell, relative to the run."""
    return Path("cells") / cell.key


def part(cell: Cell, n: int) -> Path:
    """Batch n of an unfinished cell, relative to the run."""
    return home(cell) / f"part-{n:04d}.parquet"


def replace_with(path: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write a file beside `path`, force it to the disk, and move it into place."""
    beside = path.with_name(path.name + ".part")
    try:
        fill(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def refusing_disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses (full, read-only, no permission) into a sentence."""
    try:
        yield
    except OSError as error:
        free = shutil.disk_usage(_existing(path)).free // 2**20
        raise RunError(
            f"cannot write {path}: {error.strerror or error} ({free} MiB free): make room or give another --out, "
            "then run the same command again to go on"
        ) from error


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.absolute().parents) if p.exists())


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    keys = sorted(k for k in {*old, *new} if old.get(k) != new.get(k))
    return "; ".join(f"{k} was {json.dumps(old.get(k))}, now {json.dumps(new.get(k))}" for k in keys[:3])
