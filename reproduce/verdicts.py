"""What a claim of a paper comes to: holds, does not hold, or cannot be told at this n, with an interval and a paired test over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robustdx.metrics import Resamples
from robustdx.metrics.paired import holm, permutation_test

ALPHA = 0.05


@dataclass(frozen=True)
class Question:
    """Whether the first of two values of each image is larger than the second."""

    claim: str
    """What is asked, in words."""
    first: Sequence[float]
    second: Sequence[float]
    patients: Sequence[str]
    at_least: bool = False
    """The claim is "at least as large": it fails only where the first is smaller."""


@dataclass(frozen=True)
class Answer:
    question: Question
    difference: float
    low: float
    high: float
    p: float
    """Corrected over the family."""

    @property
    def words(self) -> str:
        if self.p < ALPHA:
            return "holds" if self.difference > 0 else "does not hold"
        return "holds" if self.question.at_least and self.low >= 0 else "cannot be told at this n"

    def __str__(self) -> str:
        n, patients = len(self.question.first), len(set(self.question.patients))
        found = f"{self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}], p = {self.p:.4f}, {n} images of {patients} patients"
        return f"{self.question.claim}: {self.words} ({found})"


def answered(family: Sequence[Question], resamples: int = 2000, seed: int = 0) -> list[Answer]:
    """The answers to a family of questions: permutation tests over patients, corrected together (Holm 1979), 95 % intervals."""
    tests = [permutation_test(q.first, q.second, q.patients, resamples=10_000, seed=seed) for q in family]
    corrected = holm([t.p for t in tests])
    return [Answer(q, t.difference, *_interval(q, resamples, seed), float(p)) for q, t, p in zip(family, tests, corrected, strict=True)]


def _interval(q: Question, resamples: int, seed: int) -> tuple[float, float]:
    """Of the mean difference, from a bootstrap over patients."""
    groups = np.unique(np.asarray(q.patients), return_inverse=True)[1]
    away = np.asarray(q.first, dtype=float) - np.asarray(q.second, dtype=float)
    totals = Resamples.draw(groups, resamples, seed).totals({"away": away, "n": np.ones(len(away))})
    means = totals["away"].values[1:, 0] / totals["n"].values[1:, 0]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def line(values: Sequence[str]) -> str:
    """A row of a table."""
    return "| " + " | ".join(values) + " |"


def page(title: str, answers: Sequence[Answer]) -> list[str]:
    """A family of answers as a table, and how many of each there are."""
    head = ["claim", "answer", "difference", "95 % interval", "p (Holm)", "images", "patients"]
    lines = [f"### {title}", "", line(head), line(["---"] * len(head))]
    for a in answers:
        q = a.question
        numbers = [signed(a.difference), f"{signed(a.low)} to {signed(a.high)}", f"{a.p:.4f}", str(len(q.first)), str(len(set(q.patients)))]
        lines.append(line([q.claim, f"**{a.words}**", *numbers]))
    return [*lines, "", tally(answers), ""]


def tally(answers: Sequence[Answer]) -> str:
    counts = {words: sum(a.words == words for a in answers) for words in ("holds", "does not hold", "cannot be told at this n")}
    return f"Of {len(answers)}: " + ", ".join(f"{n} {words}" for words, n in counts.items()) + "."


def signed(value: float) -> str:
    """With its sign; what is left over when equal sums are subtracted is 0."""
    return f"{round(value, 9) + 0.0:+.3g}"
