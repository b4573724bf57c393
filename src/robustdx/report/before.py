"""Before and after hardening: the same images, attacked in the same way on both networks, compared image by image. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from robustdx.auditing.evidence import Evidence, aligned, worst
from robustdx.metrics import Answers, Resamples, accuracy_metrics
from robustdx.metrics.accuracy import tally
from robustdx.metrics.answers import Floats
from robustdx.metrics.intervals import LEVEL, Limits, clopper_pearson
from robustdx.metrics.paired import holm, permutation_test
from robustdx.report.findings import Estimate, Findings, read
from robustdx.report.numbers import DASH, NBSP, count, eps_text, percent, threat_name
from robustdx.store import Store

BEFORE = "before"
"""The folder of the first network's audit, inside that of the hardened one's."""
METRICS = {"balanced_accuracy": "Balanced accuracy", "accuracy": "Accuracy"}
HEADER = ("metric", "threat", "eps_255", "before", "after", "difference", "low", "high", "p_holm", "images")
"""Columns of tables/before.csv."""
SMALLEST = 0.001
SURE = 1 - LEVEL


@dataclass(frozen=True)
class Change:
    """One metric at one budget: the first network, the hardened one, and the difference between them."""

    metric: str
    threat: str
    eps: float
    before: float
    after: float
    difference: Estimate
    p: float
    """Of a paired permutation test over patients, corrected for all changes that are shown (Holm)."""

    @property
    def budget(self) -> str:
        """In words."""
        return f"{threat_name(self.threat)} {eps_text(self.threat, self.eps)}" if self.eps else "not attacked"

    @property
    def surely(self) -> bool:
        """Whether it is more than chance."""
        return self.p < SURE

    def words(self) -> tuple[str, str, str, str, str]:
        """Before, after, the difference in points, its interval, and p."""
        d, sign = self.difference, "+" if self.difference.value >= 0 else "\N{MINUS SIGN}"
        ends = (
            f"{100 * d.low:+.1f} to {100 * d.high:+.1f}".replace("-", "\N{MINUS SIGN}") if d.low is not None and d.high is not None else ""
        )
        points = f"{sign}{abs(100 * d.value):.1f}"
        return f"{100 * self.before:.1f}", f"{100 * self.after:.1f}", points, ends, p_text(self.p)


@dataclass(frozen=True)
class Comparison:
    """What the section shows."""

    about: str
    """Which network was there before; or why there is none to compare with."""
    told: list[str]
    changes: list[Change]
    images: int = 0
    groups: str = "images"
    """What the differences are drawn and tested over."""


def comparison(folder: Path, f: Findings) -> Comparison | None:
    """None where the network was not hardened by robustdx, or the folder does not say."""
    about = str(f.run.get("before") or "")
    if not about:
        return None
    first = Path(folder) / BEFORE
    if not (first / "results.json").is_file():
        return Comparison(about, [], [])
    found = changes(Path(folder), first, f)
    groups = str(f.data.get("groups", "patients")) if f.clean.get("patients") else "images"
    note = _sizes(f, read(first))
    return Comparison(about, [*_told(found), *note], found, int(f.clean.get("images", 0)), groups)


def before_and_after(folder: Path) -> list[str]:
    """What hardening did, in the sentences of the report; empty where there is nothing to compare."""
    compared = comparison(folder, read(folder))
    return compared.told if compared else []


def changes(after: Path, before: Path, f: Findings) -> list[Change]:
    """Every budget that both networks met, the images as they came first; p-values corrected over all of them."""
    ours, theirs = _by_budget(after, f.split), _by_budget(before, f.split)
    found = [c for budget in ours if budget in theirs for c in _changes(budget, theirs[budget], ours[budget], f)]
    corrected = holm([c.p for c in found])
    return [replace(c, p=float(p)) for c, p in zip(found, corrected, strict=True)]


def p_text(p: float) -> str:
    """A p-value as people read it.

    >>> p_text(0.0004), p_text(0.0312), p_text(1.0)
    ('< 0.001', '0.031', '1.000')
    """
    return f"< {SMALLEST}" if p < SMALLEST else f"{p:.3f}"


def _by_budget(folder: Path, split: str) -> dict[tuple[str, float], Evidence]:
    """The images as they came, and the worst case over the attacks of each budget."""
    store = Store(folder)
    own = [Evidence.read(cell, records, None) for cell, records in store.cells() if cell.split == split]
    own.sort(key=lambda e: (e.cell.threat, e.cell.eps, e.cell.attack))
    grouped = groupby(own, key=lambda e: (e.cell.threat, e.cell.eps))
    return {budget: _worst(list(same)) for budget, same in grouped}


def _worst(same: Sequence[Evidence]) -> Evidence:
    return same[0] if same[0].cell.attack == "clean" else worst(aligned(same))


def _changes(budget: tuple[str, float], first: Evidence, second: Evidence, f: Findings) -> list[Change]:
    known = set(first.ids)
    ids = [i for i in second.ids if i in known]
    first, second = first.take(ids), second.take(ids)
    pair = [e.answers(f.data["kind"], f.classes, e.form) for e in (first, second)]
    _, groups = np.unique([f"{alone}{name}" for alone, name in second.groups], return_inverse=True)
    drawn = Resamples.draw(groups, f.resamples or 1000, seed=0)
    numbers = [accuracy_metrics(answers, drawn) for answers in pair]
    values = [per_image(answers) for answers in pair]
    return [_change(metric, budget, numbers, values, groups) for metric in METRICS if numbers[0][metric].defined]


def _change(
    metric: str, budget: tuple[str, float], numbers: Sequence[Mapping[str, Any]], values: Sequence[Mapping[str, Floats]], groups: Any
) -> Change:
    first, second = (n[metric] for n in numbers)
    low, high = _limits(second.values - first.values, len(np.unique(groups)))
    test = permutation_test(values[1][metric], values[0][metric], groups.tolist())
    difference = Estimate(second.value - first.value, low, high)
    return Change(metric, *budget, first.value, second.value, difference, test.p)


def _limits(differences: Floats, groups: int) -> Limits:
    """Percentiles of the resampled differences. Where none differs, as far as so many patients can tell (Clopper and Pearson)."""
    known = differences[1:][~np.isnan(differences[1:])]
    if len(known) and known.min() < known.max():
        low, high = np.quantile(known, [SURE / 2, 1 - SURE / 2])
        return float(low), float(high)
    unseen = clopper_pearson(0, groups)[1]
    return max(-1.0, float(differences[0]) - unseen), min(1.0, float(differences[0]) + unseen)


def per_image(answers: Answers) -> dict[str, Floats]:
    """Numbers for each image whose mean is the metric of the set: so that a test of means is a test of the metric.

    Balanced accuracy is a mean over the sides of each question (of a class its images; of a finding those that show it and those
    that do not), so a right answer counts N / (questions x sides x images of its side).
    """
    counted, n = tally(answers), len(answers.truth)
    sides = [counted["present"]] if answers.exclusive else [counted["present"], counted["absent"]]
    occurring = np.stack([side.sum(0) for side in sides])
    asked = max(1, int((occurring > 0).any(0).sum()))
    beside = np.maximum(1, (occurring > 0).sum(0))
    right = counted["hit"].astype(np.float64) if answers.exclusive else counted["correct"].astype(np.float64)
    weights = sum(side / np.maximum(1, total) for side, total in zip(sides, occurring, strict=True)) / (asked * beside)
    accuracy = counted["right"] * (n / max(1, counted["decisions"].sum()))
    return {"accuracy": accuracy, "balanced_accuracy": n * (right * weights).sum(1)}


def _told(found: Sequence[Change]) -> list[str]:
    """What hardening did, in sentences: to the images as they came, and at every budget."""
    metric = next((m for m in METRICS if any(c.metric == m for c in found)), "")
    return [_sentence(c) for c in found if c.metric == metric]


def _sentence(c: Change) -> str:
    where = f"At {c.budget}" if c.eps else "Not attacked"
    _, _, points, ends, p = c.words()
    spread = f"{points} points, {ends}, p {p if p.startswith('<') else f'= {p}'}"
    verdict = "a difference that may be chance" if not c.surely else "better" if c.difference.value > 0 else "worse"
    return f"{where}, {METRICS[c.metric].lower()} was {percent(c.before)} before and is {percent(c.after)} after ({spread}): {verdict}."


def _sizes(f: Findings, first: Findings) -> list[str]:
    """Said where the two networks see the images at different sizes, so that one budget is not one change."""
    ours, theirs = f.model.get("size"), first.model.get("size")
    if ours == theirs:
        return []
    told = [" x ".join(map(str, size or [])) for size in (theirs, ours)]
    return [
        f"The first network sees images of {told[0]} pixels, the hardened one of {told[1]}: the same budget is not quite the same change."
    ]


def rows(c: Comparison) -> list[tuple[str, list[tuple[str, ...]]]]:
    """By budget, the words of each metric in the order of `METRICS`; a dash where a metric has no meaning."""
    budgets = list(dict.fromkeys(change.budget for change in c.changes))
    by = {(change.budget, change.metric): change.words() for change in c.changes}
    return [(budget, [by.get((budget, metric), (DASH,) * 5) for metric in METRICS]) for budget in budgets]


def caption(c: Comparison) -> str:
    """What the table rests on."""
    over = f"the {c.groups}" if c.groups != "images" else "images, since the data name no patients"
    return (
        f"In percent, on the same {count(c.images)} images attacked in the same way; differences in points with 95{NBSP}% intervals "
        f"(bootstrap over {over}); p of a paired permutation test over {c.groups}, corrected for all rows (Holm)."
    )


def table_rows(c: Comparison) -> Iterator[tuple[Any, ...]]:
    """tables/before.csv: a row for each budget and metric."""
    for change in c.changes:
        d = change.difference
        numbers = (f"{v:.6g}" for v in (change.before, change.after, d.value, d.low, d.high, change.p) if v is not None)
        yield change.metric, change.threat, f"{change.eps * 255:.6g}", *numbers, c.images
