"""A few broken images of each cell, kept so that a reader can look at them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from robustdx.auditing.cell import is_broken
from robustdx.records import Cell
from robustdx.store import Store
from robustdx.tensors import Images


@dataclass(frozen=True)
class Pictures:
    """The first images, in the order of the data, that were right and that the attack broke, or on which it reached its goal."""

    store: Store
    cell: Cell
    most: int

    def keep(self, n: int, rows: Sequence[Mapping[str, Any]], x: Images, saved: Images) -> None:
        """Look for them in batch n. What an earlier start kept of this batch or a later one is made again."""
        if self.cell.verdict != "saved":
            return  # below one step of the grid there is no picture to show
        index = [entry for entry in self._index() if entry["batch"] < n]
        for i, row in enumerate(rows):
            if len(index) >= self.most:
                break
            if is_broken(row):
                name = f"{len(index):02d}"
                self.store.write_bytes(self._folder / f"{name}-clean.png", _png(x[i]))
                self.store.write_bytes(self._folder / f"{name}-saved.png", _png(saved[i]))
                index.append(_entry(row, n))
        if index:
            self.store.write_text(self._folder / "index.json", json.dumps(index, indent=1))

    @property
    def _folder(self) -> Path:
        """Relative to the run."""
        return Path("pictures") / self.cell.key

    def _index(self) -> list[dict[str, Any]]:
        path = self.store.path / self._folder / "index.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _entry(row: Mapping[str, Any], n: int) -> dict[str, Any]:
    return {
        "id": row["id"],
        "batch": n,
        "label": [None if y != y else int(y) for y in row["label"]],
        "before": row["clean_decision"],
        "after": row["saved_decision"],
        "distance": row["saved_distance"],
        "p_before": row["clean_scores"],
        "p_after": row["saved_scores"],
    }


def _png(image: Tensor) -> bytes:
    pixels = (image * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(file, format="PNG")
    return file.getvalue()
