"""tables/*.csv: the numbers of a run for spreadsheets and scripts, from results.json and the records. No torch.

metrics.csv     a row per cell and metric
accuracy.csv    a row per budget, a column per attack: "0.412 [0.371, 0.455]"
images.csv      a row per cell and image
broken.csv      a row per budget and image: who broke it (see `blame`)
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robustdx.errors import RunError
from robustdx.records import Cell
from robustdx.store import Store

METRICS = ("attack", "threat", "eps_255", "split", "metric", "value", "low", "high", "images", "patients")
IMAGES = (
    *("cell", "attack", "threat", "eps_255", "split", "id", "patient", "label"),
    *("clean", "searched", "saved", "searched_distance", "saved_distance", "forwards", "backwards", "member"),
)
WIDE = ("accuracy", "balanced_accuracy")
"""What accuracy.csv shows."""

CellResult = Mapping[str, Any]
Rows = Iterable[Sequence[Any]]


def write_tables(folder: Path) -> None:
    """Write the tables of a run.

    Raises:
        RunError: the folder has no results.json, or the disk refuses.
    """
    store = Store(Path(folder))
    results = _results(store)
    write_table(store, "metrics", METRICS, metric_rows(results["cells"]))
    attacks = list(dict.fromkeys(c["attack"] for c in results["cells"] if c["attack"] not in ("clean", "worst")))
    columns = ["clean", *attacks, *(["worst"] if attacks else [])]
    write_table(
        store, "accuracy", ("metric", "split", "threat", "eps_255", "images", "patients", *columns), wide_rows(results["cells"], columns)
    )
    write_table(store, "images", IMAGES, image_rows(store, results["data"]))


def metric_rows(cells: Sequence[CellResult]) -> Iterator[tuple]:
    """A row per cell and metric."""
    for c in cells:
        for name, e in c["metrics"].items():
            numbers = (_number(e[k]) for k in ("value", "low", "high"))
            yield c["attack"], c["threat"], eps_255(c["eps"]), c["split"], name, *numbers, c["images"], _blank(c["patients"])


def wide_rows(cells: Sequence[CellResult], columns: Sequence[str]) -> Iterator[tuple]:
    """A row per metric and budget, with the clean number in each of them."""
    clean = {c["split"]: c for c in cells if c["attack"] == "clean"}
    budgets: dict[tuple, dict[str, CellResult]] = {}
    for c in cells:
        budgets.setdefault((c["split"], c["threat"], c["eps"]), {"clean": clean.get(c["split"], {})})[c["attack"]] = c
    for metric in WIDE:
        for (split, threat, eps), row in budgets.items():
            first = next(c for c in reversed(row.values()) if c)
            yield (
                metric,
                split,
                threat,
                eps_255(eps),
                first["images"],
                _blank(first["patients"]),
                *(_shown(row.get(name), metric) for name in columns),
            )


def image_rows(store: Store, data: Mapping[str, Any]) -> Iterator[tuple]:
    """A row per cell and image, decisions by name."""
    for cell, records in store.cells():
        for record in records.to_pylist():
            decided = (named(record[f"{form}_decision"], data) for form in ("clean", "searched", "saved"))
            ends = (_number(record["searched_distance"]), _number(record["saved_distance"]), record["forwards"], record["backwards"])
            by = _blank(record.get("member"))
            yield *_place(cell), record["id"], _blank(record["patient"]), named(record["label"], data), *decided, *ends, by


def named(answer: Sequence[float] | None, data: Mapping[str, Any]) -> str:
    """A label or decision in words: the class, or the findings that are present; one that was not annotated as NAME=?."""
    if answer is None:
        return ""
    classes = data["classes"]
    if data["kind"] != "multilabel":
        return str(classes[int(answer[0])])
    return "; ".join(f"{name}=?" if v != v else str(name) for name, v in zip(classes, answer, strict=True) if v != 0)


def eps_255(eps: float) -> str:
    """A budget in steps of the 8-bit grid."""
    return f"{eps * 255:.6g}"


def _place(cell: Cell) -> tuple[str, ...]:
    return cell.key, cell.attack, cell.threat, eps_255(cell.eps), cell.split


def _shown(cell: CellResult | None, metric: str) -> str:
    found = (cell or {}).get("metrics", {}).get(metric)
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]" if found else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _blank(value: Any) -> Any:
    return "" if value is None else value


def write_table(store: Store, name: str, header: Sequence[str], rows: Rows) -> None:
    """Write one table of a run, whole or not at all."""

    def fill(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)

    store.write(f"tables/{name}.csv", fill)


def _results(store: Store) -> dict[str, Any]:
    try:
        return json.loads((store.path / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"expected results.json in {store.path}, got {error}: run `robustdx report` on the folder to make it from the records"
        ) from error
