"""What compare.py and escalate.py have written, by what was asked, and how good it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reproduce.mdda.attacked import BUDGETS
from reproduce.mdda.compare import Rows
from reproduce.mdda.grids import ANEW, Words
from reproduce.verdicts import Question
from robustdx.metrics import Resamples
from robustdx.metrics.intervals import share

Marks = NDArray[np.float64]
"""For each image 1 where it is right, 0 where it is not."""


@dataclass(frozen=True)
class Who:
    """The images behind a row of marks."""

    patients: Sequence[str]
    labels: Sequence[int]

    @cached_property
    def resamples(self) -> Resamples:
        return Resamples.draw(np.unique(np.asarray(self.patients), return_inverse=True)[1], 2000, 0)

    def first(self, n: int) -> Who:
        return Who(self.patients[:n], self.labels[:n])

    def accuracy(self, marks: Marks) -> tuple[float, float, float]:
        """With its 95 % interval over lesions."""
        totals = self.resamples.totals({"right": marks, "n": np.ones(len(marks))})
        found = share(totals["right"], totals["n"])
        return found.value, *found.limits()

    def balanced(self, marks: Marks) -> float:
        """The mean over classes."""
        labels = np.asarray(self.labels)
        return float(np.mean([marks[labels == c].mean() for c in np.unique(labels)]))


@dataclass(frozen=True)
class Measured:
    """Everything that was measured under RUNS."""

    runs: Path

    @cached_property
    def rows(self) -> Rows:
        return Rows(self.runs / "rows.jsonl")

    @cached_property
    def tuned(self) -> dict[str, Words]:
        return dict(json.loads((self.runs / "tuned.json").read_text()))

    @cached_property
    def images(self) -> dict[str, Any]:
        return dict(json.loads((self.runs / "images.json").read_text()))

    @cached_property
    def escalated(self) -> list[dict[str, Any]]:
        file = self.runs / "escalated.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []

    @cached_property
    def who(self) -> Who:
        return Who([p or i for p, i in zip(self.images["patients"], self.images["ids"], strict=True)], self.images["labels"])

    def settings(self, name: str) -> Words | None:
        return None if name == "none" else self.tuned[name]

    def asked(self, settings: Words | None, attack: str, eps: float, made: str = "resnet", judge: str = "", stage: str = "test") -> Marks:
        """What the judge (left out: the network the images were made on) said of each image."""
        about = {"stage": stage, "settings": settings, "made": made, "judge": judge or made, "attack": attack, "eps": float(eps)}
        key = Rows.key(about if attack else {**about, "made": "resnet"})
        if key not in self.rows.found:
            raise SystemExit(f"not measured: {key}: run compare.py")
        return marks(self.rows.found[key]["right"])

    def of(self, name: str, attack: str, eps: float, made: str = "resnet", judge: str = "") -> Marks:
        """The same of a purifier as tuned."""
        return self.asked(self.settings(name), attack, eps, made, judge or made)

    @property
    def names(self) -> list[str]:
        """The purifiers, with none at first."""
        return ["none", *(name for name in self.tuned if name not in ANEW)]

    def question(self, claim: str, first: Marks, second: Marks, *, at_least: bool = False) -> Question:
        who = self.who.first(len(first))
        return Question(claim, first.tolist(), second.tolist(), who.patients, at_least)


def marks(told: str) -> Marks:
    return np.array([float(c) for c in told])


def cells(made: str) -> list[tuple[str, int]]:
    """The attacks that were made on a network, with their budgets."""
    return [(attack, eps) for attack, budgets in BUDGETS[made].items() for eps in budgets]


def name_of(attack: str) -> str:
    return {"cw": "C&W", "autoattack": "AutoAttack"}.get(attack, attack.upper())
