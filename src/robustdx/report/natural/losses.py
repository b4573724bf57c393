"""The table of perturbations, from the greatest loss to the least: accuracy by severity, and the change with its interval. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robustdx.report.findings import Estimate, Findings
from robustdx.report.grids import Entry
from robustdx.report.numbers import DASH, NBSP

Found = Mapping[str, Any]
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Loss:
    """One perturbation as a row."""

    name: str
    images: str
    mean: Entry
    change: Entry
    surely: bool
    """Whether the interval of the change lies below 0."""
    severities: list[Entry]
    others: list[Entry]


@dataclass(frozen=True)
class Losses:
    """The table: severities across, the greatest loss first, the mean of all at last."""

    severities: list[int]
    others: list[str]
    rows: list[Loss]
    whole: Loss | None
    clean: Entry
    clean_others: list[Entry]


OTHERS = {"balanced_accuracy": "Balanced accuracy", "auroc_macro": "AUROC", "ece": "Calibration error"}
"""What stands beside accuracy, of the mean over severities."""


def losses(f: Findings, found: Found) -> Losses | None:
    """The table; None where no perturbation was asked for."""
    each = found.get("perturbations", [])
    if not each:
        return None
    clean = found["clean"]
    levels = sorted({at["severity"] for own in each for at in own["severities"]})
    others = [name for name in OTHERS if name in clean["metrics"] or any(name in own["mean"]["metrics"] for own in each)]
    rows = [_row(own, clean["images"], levels, others) for own in sorted(each, key=loss)]
    whole = _summary("all of them", "", found["mean"], [Entry("")] * len(levels), others) if len(each) > 1 else None
    came = [_entry(clean["metrics"], name) for name in ("accuracy", *others)]
    return Losses(levels, [OTHERS[name] for name in others], rows, whole, came[0], came[1:])


def loss(own: Found) -> float:
    """By what the rows are sorted: the mean change of accuracy, the greatest loss first."""
    return float(own["mean"]["change"].get("accuracy", {"value": 0.0})["value"])


def named(label: str) -> str:
    """A label as people say it."""
    return label.replace("_", " ")


def points(e: Estimate) -> Entry:
    """A change in points, with its sign."""
    ends = "" if e.low is None or e.high is None else f"{_signed(e.low)} to {_signed(e.high)}"
    return Entry(_signed(e.value), ends)


def _row(own: Found, images: int, levels: list[int], others: list[str]) -> Loss:
    at = {level["severity"]: level["metrics"] for level in own["severities"]}
    severities = [_entry(at[level], "accuracy") if level in at else Entry(DASH) for level in levels]
    part = "" if own["images"] == images else f"{own['images']:,} images"
    return _summary(named(own["label"]), part, own["mean"], severities, others)


def _summary(name: str, images: str, mean: Found, severities: list[Entry], others: list[str]) -> Loss:
    change = mean["change"].get("accuracy")
    surely = bool(change) and change["high"] < 0
    shown = points(Estimate(change["value"], change["low"], change["high"])) if change else Entry(DASH)
    return Loss(name, images, _entry(mean["metrics"], "accuracy"), shown, surely, severities, [_entry(mean["metrics"], o) for o in others])


def _entry(metrics: Found, name: str) -> Entry:
    if name not in metrics:
        return Entry(DASH)
    e = metrics[name]
    if name.startswith("auroc"):
        return Entry(f"{e['value']:.3f}", f"{e['low']:.3f}{DASH}{e['high']:.3f}")
    return Entry(f"{100 * e['value']:.1f}", f"{100 * e['low']:.1f}{DASH}{100 * e['high']:.1f}", share=e["value"])


def _signed(value: float) -> str:
    text = f"{abs(100 * value):.1f}"
    return text if text == "0.0" else f"{MINUS if value < 0 else '+'}{text}"


def in_points(value: float) -> str:
    """A change for a sentence."""
    return f"{abs(100 * value):.1f}{NBSP}points"
