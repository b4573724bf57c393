"""From the records of a test of detectors to its numbers: results.json, made again at any time without model and images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from robustdx.auditing.detection.noticing import KNOWS, knowing
from robustdx.metrics.alarm import FALSE_ALARMS, alarm_metrics, alarm_threshold
from robustdx.metrics.intervals import Resamples
from robustdx.metrics.measure import interval
from robustdx.records import Cell
from robustdx.store import Store

AS_UNAWARE = "as the unaware"
"""The way of an aware attacker who does what one does who knows nothing."""


def write_alarm_results(store: Store) -> dict[str, Any]:
    """Write results.json of a test of detectors, and return it."""
    run, plan = store.read_json("run.json"), store.read_json("plan.json")
    cells = list(store.cells())
    validation, clean = (next(r for c, r in cells if c.attack == "clean" and (c.split == "val") is val) for val in (True, False))
    labels = [detector["label"] for detector in plan["detectors"]]
    thresholds = [alarm_threshold(column) for column in _scores(validation).T]
    numbers = Numbers(labels, thresholds, clean, cells, run["seed"], run["bootstrap"])
    rows = [row for cell, records in cells if cell.attack != "clean" for row in numbers.rows(cell, records)]
    results = {
        "schema": 1,
        "made": "alarms",
        "false_alarms_allowed": FALSE_ALARMS,
        "run": run,
        "detectors": [{**words, "threshold": threshold} for words, threshold in zip(plan["detectors"], thresholds, strict=True)],
        "validation_images": len(validation),
        "images": len(clean),
        "rows": sorted(rows, key=lambda r: (labels.index(r["detector"]), r["attack"], r["eps"], r["attacker"] == "aware")),
    }
    store.write_json("results.json", results)
    return results


@dataclass(frozen=True)
class Numbers:
    """What the numbers of every cell are made from."""

    labels: Sequence[str]
    thresholds: Sequence[float]
    clean: pa.Table
    cells: Sequence[tuple[Cell, pa.Table]]
    seed: int
    bootstrap: int

    def rows(self, cell: Cell, records: pa.Table) -> Iterator[dict[str, Any]]:
        """The numbers of a cell: those of every detector for an attack that knows none, of the one that it knows for the others."""
        knows = str(cell.settings.get(KNOWS, ""))
        attack = cell.attack.removesuffix(knowing(knows)) if knows else cell.attack
        unaware = next(r for c, r in self.cells if (c.attack, c.threat, c.eps) == (attack, cell.threat, cell.eps))
        place = {i: n for n, i in enumerate(self.clean["id"].to_pylist())}
        clean = self.clean.take([place[i] for i in records["id"].to_pylist()])
        resamples, right = Resamples.draw(_groups(clean), self.bootstrap, self.seed), ~_wrong(clean)
        for n in (n for n, label in enumerate(self.labels) if knows in ("", label)):
            wrong, scores, ways = self._seen(records, unaware, n)
            found = alarm_metrics(_scores(clean)[:, n], scores, right, wrong, self.thresholds[n], resamples)
            won = right & wrong & (scores <= self.thresholds[n])
            yield {
                "detector": self.labels[n],
                "attack": attack,
                "threat": cell.threat,
                "eps": cell.eps,
                "attacker": "aware" if knows else "unaware",
                "images": len(records),
                "metrics": {name: interval(s) for name, s in found.items() if s.defined},
                "omitted": {name: s.undefined for name, s in found.items() if not s.defined},
                "ways": {way: int((won & (ways == way)).sum()) for way in sorted(set(ways[won]))} if knows else {},
            }

    def _seen(self, records: pa.Table, unaware: pa.Table, n: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Which images are wrong, their scores, and the ways that led there.

        Who knows the detector may always do as one does who does not: where that alone gets past it, it counts for both.
        """
        wrong, scores, ways = (
            _wrong(records),
            _scores(records)[:, n],
            np.array([way or "" for way in records["way"].to_pylist()], dtype=object),
        )
        also, low = _wrong(unaware), _scores(unaware)[:, n]
        better = also & (low <= self.thresholds[n]) & ~(wrong & (scores <= self.thresholds[n]))
        return wrong | better, np.where(better, low, scores), np.where(better, AS_UNAWARE, ways)


def _scores(records: pa.Table) -> NDArray[Any]:
    return np.asarray(records["scores"].to_pylist(), dtype=np.float64)


def _wrong(records: pa.Table) -> NDArray[Any]:
    return ~np.asarray(records["right"].to_pylist(), dtype=bool)


def _groups(records: pa.Table) -> NDArray[Any]:
    """The patient of each image, as a number; the image itself where no patient is known."""
    columns = (records[name].to_pylist() for name in ("patient", "id"))
    names = [f"image {i}" if patient is None else f"patient {patient}" for patient, i in zip(*columns, strict=True)]
    return np.unique(names, return_inverse=True)[1]
