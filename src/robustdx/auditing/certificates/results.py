"""results.json and certificates.csv of a run of `robustdx certify`, from the kept votes alone. No torch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from robustdx.errors import RunError
from robustdx.metrics import Resamples
from robustdx.metrics.certificate import ABSTAIN, Certificate, certified_accuracy, certify, predict, share_of
from robustdx.metrics.intervals import LEVEL
from robustdx.metrics.measure import interval
from robustdx.records import write_table
from robustdx.store import Store

MADE = "certificates"
SCHEMA = 1
STEPS = 4
"""Points of the curve in each sigma."""
CARRIED = ("robustdx", "command", "made", "model", "data", "plan", "precision", "versions", "seed", "values_per_image")
COLUMNS = ("id", "patient", "finding", "label", "decision", "prediction", "votes", "draws", "share_at_least", "radius", "right")
"""What certificates.csv says of each decision; `finding` where an image has several. Abstaining is an empty decision with radius 0."""


def is_certified(store: Store) -> bool:
    """Whether a folder holds certificates and not an audit."""
    try:
        return bool(store.read_json("run.json").get("made") == MADE)
    except (OSError, ValueError, AttributeError):
        return False  # an audit's refusal says what is wrong with the folder


@dataclass(frozen=True)
class Votes:
    """The records of a run as arrays."""

    ids: Sequence[str]
    patients: Sequence[str | None]
    labels: NDArray[np.float64]
    """(N, D), NaN where a finding was not annotated."""
    selected: NDArray[np.int64]
    """(N, D, C)."""
    estimated: NDArray[np.int64]

    @classmethod
    def of(cls, records: pa.Table) -> Votes:
        columns = records.to_pydict()
        labels = np.array(columns["label"], dtype=np.float64)
        counts = (np.array(columns[name]).reshape(*labels.shape, -1) for name in ("selected", "estimated"))
        return cls(columns["id"], columns["patient"], labels, *counts)

    def resamples(self, draws: int, seed: int) -> Resamples:
        """Over patients, or over images where nobody says whose they are."""
        names = [i if p is None else p for i, p in zip(self.ids, self.patients, strict=True)]
        place = {name: n for n, name in enumerate(sorted(set(names)))}
        return Resamples.draw([place[name] for name in names], draws, seed)


def write_certificates(store: Store, resamples: int | None = None) -> dict[str, Any]:
    """Write results.json, certificates.csv and certificates.parquet, and return the results.

    Raises:
        RunError: the votes are not complete.
    """
    run = store.read_json("run.json")
    cells = list(store.cells())
    if len(cells) != 1:
        raise RunError(f"expected the votes of one run in {store.path}, found {len(cells)}: run the command of certify again to go on")
    cell, records = cells[0]
    votes, plan = Votes.of(records), run["plan"]
    certificate, predicted = certify(votes.selected, votes.estimated, plan["sigma"], plan["alpha"]), predict(votes.estimated, plan["alpha"])
    draws = resamples or int(plan["bootstrap"])
    numbers = _numbers(votes, certificate, predicted, run, votes.resamples(draws, 0))
    results = {
        "schema": SCHEMA,
        **{name: run[name] for name in CARRIED if name in run},
        "intervals": {"level": LEVEL, "resamples": draws, "seed": 0, "over": "images" if None in votes.patients else "patients"},
        "cost": {"forwards": int(np.sum(records["forwards"].to_numpy())), "seconds": round(store.seconds(cell), 3)},
        **numbers,
    }
    rows = list(_rows(votes, certificate, predicted, run["data"]))
    store.write_text("certificates.csv", _csv(rows))
    store.write(
        "certificates.parquet", lambda path: write_table(pa.Table.from_pylist([dict(zip(COLUMNS, r, strict=True)) for r in rows]), path)
    )
    store.write_text("results.json", json.dumps(results, indent=1, allow_nan=False, ensure_ascii=False))
    return results


def radii(sigma: float, largest: float) -> list[float]:
    """Where the curve is read: four times in each sigma, as far as the draws can prove anything."""
    step = sigma / STEPS
    return [round(k * step, 10) for k in range(int(largest / step) + 1)]


def _numbers(votes: Votes, certificate: Certificate, predicted: NDArray[Any], run: dict[str, Any], resamples: Resamples) -> dict[str, Any]:
    at = radii(run["plan"]["sigma"], run["largest_radius"])
    curve, length = certified_accuracy(certificate, votes.labels, at, resamples)
    shares = {
        "accuracy": predicted == votes.labels,
        "predictions_abstained": predicted == ABSTAIN,
        "certificates_abstained": certificate.decisions == ABSTAIN,
    }
    found = {name: share_of(flags, votes.labels, resamples) for name, flags in shares.items()} | {"mean_radius": length}
    patients = None if None in votes.patients else len(set(votes.patients))
    return {
        "images": len(votes.ids),
        "patients": patients,
        "decisions": int((~np.isnan(votes.labels)).sum()),
        "largest_radius": run["largest_radius"],
        **({"majority": _majority(votes, run["data"]["classes"])} if run["data"]["kind"] != "multilabel" else {}),
        "metrics": {name: interval(statistic) for name, statistic in found.items() if statistic.defined},
        "curve": [{"radius": r, **interval(statistic)} for r, statistic in zip(at, curve, strict=True) if statistic.defined],
    }


def _majority(votes: Votes, classes: Sequence[str]) -> dict[str, Any]:
    """The class that most images are of, and their share: who always answers it is right so often, and certified at every radius."""
    counts = np.bincount(votes.labels.astype(int).ravel(), minlength=len(classes))
    return {"class": classes[int(counts.argmax())], "share": float(counts.max() / counts.sum())}


def _rows(votes: Votes, certificate: Certificate, predicted: NDArray[Any], data: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    several = data["kind"] == "multilabel"
    names = ("absent", "present") if several else data["classes"]
    leading = votes.selected.argmax(-1)
    for i, d in np.ndindex(votes.labels.shape):
        label, decision = votes.labels[i, d], int(certificate.decisions[i, d])
        counts = votes.estimated[i, d]
        yield (
            *(votes.ids[i], votes.patients[i], data["classes"][d] if several else None),
            *(None if np.isnan(label) else names[int(label)], _called(names, decision), _called(names, int(predicted[i, d]))),
            *(int(counts[leading[i, d]]), int(counts.sum())),
            *(float(certificate.lower[i, d]), float(certificate.radii[i, d]), None if np.isnan(label) else bool(decision == label)),
        )


def _called(names: Sequence[str], decision: int) -> str | None:
    return None if decision == ABSTAIN else names[decision]


def _csv(rows: Sequence[tuple[Any, ...]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([COLUMNS, *rows])
    return file.getvalue()
