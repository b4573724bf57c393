"""How often decisions flip in each sequence, with what belongs beside it: part of results.json. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from robustdx.auditing.evidence import rows
from robustdx.auditing.natural.measures import Ruler, Statistics, means, told, untold
from robustdx.metrics import Answers, answers
from robustdx.metrics.flips import Seen, flip_metrics
from robustdx.records import Cell

STRIDES = (1, 2, 3)
"""Flips are counted from frame to frame, and over larger steps, which are harder."""
CONSTANT = 0.98
"""A model that gives one and the same answer on this share of all frames has nothing that could flip."""


@dataclass(frozen=True)
class Clips:
    """What a model said of every frame of N images."""

    cell: Cell
    ids: Sequence[str]
    patients: Sequence[str | None]
    labels: NDArray[Any]
    clean: NDArray[Any]
    """(N, D) decisions on the images as they came."""
    clean_scores: NDArray[Any]
    decided: NDArray[np.int64]
    """(N, n, D)."""
    scores: NDArray[np.float64]
    """(N, n, K)."""
    seconds: float | None

    @classmethod
    def read(cls, cell: Cell, records: pa.Table, seconds: float | None) -> Clips:
        """From the records of a whole cell."""
        return cls(
            cell,
            records["id"].to_pylist(),
            records["patient"].to_pylist(),
            rows(records["label"]),
            rows(records["clean_decision"]),
            rows(records["clean_scores"]),
            np.asarray(records["frame_decisions"].to_pylist(), dtype=np.int64),
            np.asarray(records["frame_scores"].to_pylist(), dtype=np.float64),
            seconds,
        )

    @property
    def groups(self) -> list[tuple[bool, str]]:
        """What intervals are drawn over: the patient, or the image where no patient is named."""
        return [(patient is None, i if patient is None else patient) for i, patient in zip(self.ids, self.patients, strict=True)]

    @property
    def patient_count(self) -> int | None:
        """How many patients; None where an image does not say whose it is."""
        return None if None in self.patients else len(set(self.patients))

    def came(self, ruler: Ruler) -> Answers:
        """Truth and decisions on the images as they came."""
        return answers(ruler.kind, ruler.classes, self.labels, self.clean, self.clean_scores)

    def metrics(self, ruler: Ruler) -> Statistics:
        """The numbers of the sequence."""
        seen = Seen(self.decided, self.cell.compared, self.scores)  # type: ignore[arg-type]
        return flip_metrics(seen, ruler.drawn.at([ruler.place[g] for g in self.groups]), clean=self.came(ruler), strides=STRIDES)


def sequences(clips: Sequence[Clips], ruler: Ruler, order: Sequence[str]) -> dict[str, Any]:
    """Each sequence with its numbers in the order of the plan, the mean over all, and the flags that their model raises."""
    ordered = sorted(clips, key=lambda c: (order.index(c.cell.attack) if c.cell.attack in order else len(order), c.cell.attack))
    found = [(c, c.metrics(ruler)) for c in ordered]
    shared = [{name: s for name, s in metrics.items() if not name.startswith("flip_released")} for _, metrics in found]
    return {
        "sequences": [_words(c, metrics) for c, metrics in found],
        "mean_flips": told(means(shared)),
        "flags": [flag for flag in (constant(ordered, ruler),) if flag],
    }


def _words(c: Clips, metrics: Statistics) -> dict[str, Any]:
    return {
        "label": c.cell.attack,
        "settings": dict(c.cell.settings),
        "frames": c.cell.frames,
        "compared": c.cell.compared,
        "key": c.cell.key,
        "images": len(c.ids),
        "patients": c.patient_count,
        "seconds": c.seconds,
        "metrics": told(metrics),
        "omitted": untold(metrics),
    }


def constant(clips: Sequence[Clips], ruler: Ruler) -> dict[str, Any] | None:
    """The flag of a model that gives one answer to nearly everything: it cannot flip, which is no merit."""
    said = np.concatenate([c.decided.reshape(-1, c.decided.shape[2]) for c in clips])
    usual = [_usual(column) for column in said.T]
    if min(share for _, share in usual) < CONSTANT:
        return None
    answer = "no finding" if len(usual) > 1 and not any(k for k, _ in usual) else ", ".join(_named(ruler, usual))
    share = float(np.mean([share for _, share in usual]))
    return {
        "name": "constant answers",
        "title": f"The model answers “{answer}” on {100 * share:.1f} % of all frames",
        "raised_if": f"one answer takes at least {100 * CONSTANT:.0f} % of all frames",
        "means": "Who always says the same never flips. A low flip probability is then no merit: it says that the model does not look.",
        "do": "Read the flip probabilities beside the balanced accuracy, and see whether the model tells the classes apart at all.",
    }


def _usual(column: NDArray[Any]) -> tuple[int, float]:
    """The most frequent decision, and its share."""
    values, counts = np.unique(column, return_counts=True)
    return int(values[counts.argmax()]), float(counts.max() / len(column))


def _named(ruler: Ruler, usual: Sequence[tuple[int, float]]) -> Iterator[str]:
    if len(usual) == 1:
        yield str(ruler.classes[usual[0][0]])
    else:
        yield from (str(name) for name, (k, _) in zip(ruler.classes, usual, strict=True) if k)
