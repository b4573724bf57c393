"""What is written down of an image that detectors look at, and how an adversary who knows one of them goes about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from robustdx.attacks import Attack, is_minimal
from robustdx.auditing.cell import Batch, Row
from robustdx.auditing.saving import as_saved
from robustdx.detectors import Detector
from robustdx.draws import Draws
from robustdx.errors import ModelError
from robustdx.models import DiagnosticModel, Subject, Watched
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("patient", pa.string()),
        ("decision", pa.list_(pa.int16())),
        ("right", pa.bool_()),
        ("scores", pa.list_(pa.float64())),
        ("way", pa.string()),
        ("distance", pa.float64()),
        ("forwards", pa.int32()),
        ("backwards", pa.int32()),
    ]
)
"""The columns of a cell's table, all of the image as saved. `scores` has one for each detector, in the order of the plan; `way` is how an
aware adversary came to this image, null under other attacks."""

WAYS: Mapping[str, Mapping[str, Any]] = {
    "stop in time": {"weight": 0.0},
    "orthogonal": {"orthogonal": True},
    "sum": {"weight": 1.0},
    "selective": {"selective": True},
    "heavy sum": {"weight": 10.0},
}
"""How an adversary who knows the detector goes about it, one after another, each on what still stands: the plain attack, which stops where
the image is wrong and no alarm is raised; and the settings of `Watched`."""


KNOWS = "knows"
"""Where the settings of a cell name the detector that its attack knows."""


def knowing(detector: str) -> str:
    """What is added to the name of an attack that knows a detector."""
    return f" knowing {detector}"


@dataclass(frozen=True)
class Scores:
    """The network and the detectors as they are asked about images."""

    judge: DiagnosticModel
    detectors: Mapping[str, Detector]
    seed: int

    @torch.no_grad()
    def __call__(self, x: Images, y: Labels, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
        """Decisions, which images are right, and the scores (B, detectors).

        Raises:
            ModelError: an answer or a score that is not a number.
        """
        outputs = self.judge.exact(x, draws.fork("verdict"))
        asked = draws.fork("verdict", "detector")
        scores = [d(self.judge, x, asked).double().cpu() for d in self.detectors.values()]
        for name, values in (("the network", outputs.sum(1).cpu()), *zip(self.detectors, scores, strict=True)):
            if not bool(values.isfinite().all()):
                image = draws.ids[values.isfinite().tolist().index(False)]
                raise ModelError(f"expected finite numbers, {name} answers NaN or infinity on the image {image}: check its weights")
        return self.judge.task.decide(outputs).cpu(), ~self.judge.task.fooled(outputs, y).cpu(), torch.stack(scores, 1)

    def rows(self, batch: Batch, x: Images) -> list[Row]:
        """The records of the images x that stand in for a batch."""
        decisions, right, scores = self(x, batch.y, batch.draws(self.seed))
        parts = zip(batch.ids, batch.patients, decisions.reshape(len(x), -1).tolist(), right.tolist(), scores.tolist(), strict=True)
        names = ("id", "patient", "decision", "right", "scores")
        return [{**dict(zip(names, part, strict=True)), "distance": 0.0, "forwards": 1, "backwards": 0} for part in parts]


@dataclass(frozen=True)
class Knowing:
    """A detector as an adversary knows it: what it says, from where on it raises an alarm, and how large a difference of scores is."""

    detector: Detector
    threshold: float
    unit: float

    @classmethod
    def of(cls, detector: Detector, threshold: float, clean: Sequence[float]) -> Knowing:
        """From the scores of clean validation images."""
        return cls(detector, threshold, max(float(np.std(clean)), 1e-12))

    def watched(self, model: DiagnosticModel, **way: Any) -> Watched:
        return Watched(model, self.detector, self.threshold, self.unit, **way).eval()


def clean_rows(scores: Scores, batch: Batch) -> list[Row]:
    """The records of a batch as it came. Cost per image: a forward pass, and those of the detectors."""
    return scores.rows(batch, batch.x)


def crafted_rows(
    scores: Scores,
    exact: DiagnosticModel,
    fast: DiagnosticModel,
    attack: Attack,
    threat: Threat,
    name: str,
    known: Knowing | None,
    before: Mapping[str, Row],
) -> Callable[[Batch, int], list[Row]]:
    """What makes the records of a batch under attack, by an adversary who knows a detector or none.

    Images that are wrong as they came are left so. Cost per image: that of the attack, and knowing, of each way until one succeeds.
    """

    def rows_of(batch: Batch, n: int) -> list[Row]:
        own = batch.facing(threat)
        right = torch.tensor([before[i]["right"] for i in batch.ids], device=batch.x.device)
        best = _Best(batch.x.clone(), [None] * len(batch.x), right, known is None)
        spent = np.zeros((len(batch.x), 2), np.int64)
        for way, settings in ({"": {}} if known is None else WAYS).items():
            at = best.standing.nonzero()[:, 0]
            if len(at):
                subject = _subject(known, exact, fast, settings)
                draws = batch.draws(scores.seed).fork("attack", name, *([way] if way else [])).take(at)
                found = _saved(subject, attack, batch.x[at], batch.y[at], own.take(at), draws)
                best.keep(at, found, way or None, *_judged(subject, found, batch.y[at], draws))
                spent[at.tolist()] += [(subject.forwards[i], subject.backwards[i]) for i in draws.ids]
        rows = scores.rows(batch, best.x)
        for row, came, distance, (f, b) in zip(rows, best.ways, own.distance(best.x, batch.x).tolist(), spent.tolist(), strict=True):
            row |= {"way": came, "distance": distance, "forwards": f, "backwards": b}
        return rows

    return rows_of


def _subject(known: Knowing | None, exact: DiagnosticModel, fast: DiagnosticModel, way: Mapping[str, Any]) -> Subject:
    """What the attack is handed."""
    if known is None:
        return Subject(exact, fast)
    watched = known.watched(exact, **way)
    return Subject(watched, watched if fast is exact else known.watched(fast, **way))


def _saved(subject: Subject, attack: Attack, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
    x_adv = attack(subject, x, y, threat, draws).detach()
    minimal = any(is_minimal(member) for member in getattr(attack, "members", (attack,)))
    return as_saved(subject, x_adv, x, y, threat, draws, minimal=minimal)


@torch.no_grad()
def _judged(subject: Subject, x: Images, y: Labels, draws: Draws) -> tuple[Tensor, PerImage]:
    """Which images are wrong, and how far each lies above the alarm threshold (0 where there is no detector)."""
    model, outputs = subject.model, subject.exact(x, draws)
    if not isinstance(model, Watched):
        return model.task.fooled(outputs, y), torch.zeros(len(x), device=x.device)
    return model.model.task.fooled(outputs[:, :-1], y), outputs[:, -1]


@dataclass
class _Best:
    """The best image of each so far: first wrong and unnoticed, then wrong, then with the lowest score."""

    x: Images
    ways: list[str | None]
    standing: Tensor
    """Which images are still to be attacked."""
    once: bool
    """Whether there is one way only, whose images are taken as they are."""

    def __post_init__(self) -> None:
        self.rank = torch.full((len(self.x),), -1, device=self.x.device)
        self.excess = torch.full((len(self.x),), torch.inf, device=self.x.device)

    def keep(self, at: Tensor, x: Images, way: str | None, wrong: Tensor, excess: PerImage) -> None:
        rank = wrong.long() + (wrong & (excess <= 0)).long()
        better = (rank > self.rank[at]) | ((rank == self.rank[at]) & (excess < self.excess[at]))
        where = at[better]
        self.x[where], self.rank[where], self.excess[where] = x[better], rank[better], excess[better]
        for i in where.tolist():
            self.ways[i] = way
        self.standing = self.standing & (self.rank < 2) & (not self.once)
