"""From the records of a test of detectors to its numbers: results.json, made again at any time without model and images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from robustdx.auditing.noticing import KNOWS, knowing
from robustdx.metrics.alarm import FALSE_ALARMS, alarm_metrics, alarm_threshold
from robustdx.metrics.intervals import Resamples
from robustdx.metrics.measure import interval
from robustdx.records import Cell
from robustdx.store import Store


def write_alarm_results(store: Store) -> dict[str, Any]:
    """Write results.json of a test of detectors, and return it."""
    run, plan = store.read_json("run.json"), store.read_json("plan.json")
    tables = {cell.key: (cell, records) for cell, records in store.cells()}
    validation = tables["clean-val"][1]
    clean = next(records for cell, records in tables.values() if cell.attack == "clean" and cell.split != "val")
    numbers = Numbers(list(plan["detectors"]), validation, clean, run["seed"], run["bootstrap"])
    results = {
        "schema": 1,
        "made": "alarms",
        "false_alarms_allowed": FALSE_ALARMS,
        "run": run,
        "detectors": [
            {"label": label, "settings": plan["detectors"][label], "threshold": numbers.thresholds[n]}
            for n, label in enumerate(numbers.labels)
        ],
        "validation_images": len(validation),
        "images": len(clean),
        "rows": [row for cell, records in tables.values() if cell.attack != "clean" for row in numbers.rows(cell, records)],
    }
    results["rows"].sort(key=lambda row: (numbers.labels.index(row["detector"]), row["attack"], row["eps"], row["attacker"] == "aware"))
    store.write_json("results.json", results)
    return results


@dataclass(frozen=True)
class Numbers:
    """What the numbers of every cell are made from."""

    labels: Sequence[str]
    validation: pa.Table
    clean: pa.Table
    seed: int
    bootstrap: int

    @property
    def thresholds(self) -> list[float]:
        return [alarm_threshold(column) for column in _scores(self.validation).T]

    def rows(self, cell: Cell, records: pa.Table) -> Iterator[dict[str, Any]]:
        """The numbers of a cell: those of every detector for an attack that knows none, of the one that it knows for the others."""
        knows = str(cell.settings.get(KNOWS, ""))
        ids = records["id"].to_pylist()
        place = {i: n for n, i in enumerate(self.clean["id"].to_pylist())}
        clean = self.clean.take([place[i] for i in ids])
        right, wrong = (np.asarray(t["right"].to_pylist(), dtype=bool) for t in (clean, records))
        resamples = Resamples.draw(_groups(clean), self.bootstrap, self.seed)
        for n, label in enumerate(self.labels):
            if knows in ("", label):
                found = alarm_metrics(_scores(clean)[:, n], _scores(records)[:, n], right, ~wrong, self.thresholds[n], resamples)
                yield {
                    "detector": label,
                    "attack": cell.attack.removesuffix(knowing(knows)) if knows else cell.attack,
                    "threat": cell.threat,
                    "eps": cell.eps,
                    "attacker": "aware" if knows else "unaware",
                    "images": len(ids),
                    "metrics": {name: interval(s) for name, s in found.items() if s.defined},
                    "omitted": {name: s.undefined for name, s in found.items() if not s.defined},
                    "ways": _ways(records, right & ~wrong & (_scores(records)[:, n] <= self.thresholds[n])),
                }


def _scores(records: pa.Table) -> np.ndarray:
    return np.asarray(records["scores"].to_pylist(), dtype=np.float64)


def _groups(records: pa.Table) -> np.ndarray:
    """The patient of each image, as a number; the image itself where no patient is known."""
    names = [
        f"patient {p}" if p is not None else f"image {i}" for p, i in zip(*(records[c].to_pylist() for c in ("patient", "id")), strict=True)
    ]
    return np.unique(names, return_inverse=True)[1]


def _ways(records: pa.Table, won: np.ndarray) -> Mapping[str, int]:
    """How often each way led to an image that is wrong and unnoticed."""
    ways = [way for way, yes in zip(records["way"].to_pylist(), won, strict=True) if yes and way]
    return {way: ways.count(way) for way in dict.fromkeys(ways)}
