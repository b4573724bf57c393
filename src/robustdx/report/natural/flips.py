"""Flip probabilities as bars, the accuracy over the same frames beside them. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robustdx.report.grids import Entry
from robustdx.report.natural.losses import named
from robustdx.report.numbers import DASH

Found = Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """A flip probability as it is drawn: shares of the longest bar."""

    entry: Entry
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class FlipRow:
    """One sequence."""

    name: str
    about: str
    bar: Bar
    right: Entry
    accuracy: Entry
    jitter: Entry
    findings: list[Entry]
    kind: str = ""


@dataclass(frozen=True)
class Flips:
    """The table, the most unsteady first and the mean at last; a column for each finding where there are several."""

    rows: list[FlipRow]
    findings: list[str]


def flips(found: Found) -> Flips | None:
    """The table; None where no sequence was asked for."""
    each = found.get("sequences", [])
    if not each:
        return None
    metrics = [own["metrics"] for own in each]
    names = [name.partition(":")[2] for name in metrics[0] if name.startswith("flip_probability:")]
    longest = max([m["flip_probability"]["high"] for m in metrics if "flip_probability" in m] or [1.0]) or 1.0
    ordered = sorted(each, key=lambda own: -own["metrics"].get("flip_probability", {"value": 0.0})["value"])
    rows = [_row(named(own["label"]), _about(own, found), own["metrics"], longest, names) for own in ordered]
    if len(each) > 1:
        rows.append(_row("mean of all", "", found["mean_flips"], longest, names, "worst"))
    return Flips(rows, names)


def _row(name: str, about: str, metrics: Found, longest: float, findings: list[str], kind: str = "") -> FlipRow:
    e = metrics.get("flip_probability", {"value": 0.0, "low": 0.0, "high": 0.0})
    bar = Bar(_entry(metrics, "flip_probability"), *(e[end] / longest for end in ("value", "low", "high")))
    right, accuracy, jitter = (_entry(metrics, key) for key in ("flip_probability_right", "frame_accuracy", "confidence_jitter"))
    return FlipRow(name, about, bar, right, accuracy, jitter, [_entry(metrics, f"flip_probability:{n}") for n in findings], kind)


def _about(own: Found, found: Found) -> str:
    part = "" if own["images"] == found["clean"]["images"] else f", {own['images']:,} images"
    return f"{own['frames']} frames{', against the first' if own['compared'] == 'first' else ''}{part}"


def _entry(metrics: Found, name: str) -> Entry:
    if name not in metrics:
        return Entry(DASH)
    e = metrics[name]
    return Entry(f"{100 * e['value']:.1f}", f"{100 * e['low']:.1f}{DASH}{100 * e['high']:.1f}", share=e["value"])
