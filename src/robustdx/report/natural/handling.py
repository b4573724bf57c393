"""The worst that plausible handling does, next to the average, with the parameters that did it. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustdx.report.findings import Estimate, Findings
from robustdx.report.grids import Entry
from robustdx.report.natural.losses import points
from robustdx.report.numbers import DASH, count, percent, plural, with_interval
from robustdx.report.pictures import Example, examples_of
from robustdx.store import Store

Found = Mapping[str, Any]
UNITS = {"rotation": "°", "hue": "°"}
NAMES = {
    "rotation": "turned",
    "shift_x": "left or right",
    "shift_y": "up or down",
    "scale": "nearer or farther",
    "blur": "blur",
}


@dataclass(frozen=True)
class Part:
    """A parameter of the box: how far it may go, and how much of that the broken images use."""

    name: str
    reach: str
    used: float | None
    text: str
    quarters: str


@dataclass(frozen=True)
class Worst:
    """What the page shows."""

    told: str
    rows: Sequence[tuple[str, Entry, Entry, float | None]]
    """What was looked at, accuracy, change, and the share for the bar."""
    parts: Sequence[Part]
    pictures: Sequence[tuple[Example, str]]
    """Each with the parameters in words."""
    cost: str


def worst(f: Findings, found: Found, folder: Path) -> Worst | None:
    """The part; None where no worst case was looked for."""
    own = found.get("worst_case")
    if not own:
        return None
    clean, average, least = own["clean"], own["average"], own["worst"]
    rows = [("as they came", _entry(clean), Entry(""), _share(clean))]
    rows += [(name, _entry(p["metrics"]), _change(p), _share(p["metrics"])) for name, p in (("average", average), ("worst case", least))]
    passes = (own["forwards"] + own["backwards"]) / max(1, own["images"])
    cost = f"{plural(own['images'], 'image')}; {count(passes)} passes through the network for each."
    return Worst(_told(own), rows, [_part(p) for p in own["parameters"]], _pictures(f, own, folder), cost)


def _told(own: Found) -> str:
    clean, average, least = (_estimate(p) for p in (own["clean"], own["average"]["metrics"], own["worst"]["metrics"]))
    if clean is None or average is None or least is None:
        return "Accuracy is not defined on these images."
    hit = own["broken"]
    return (
        f"Turned, moved, lit and focused at random within what careful handling allows, {with_interval(average)} are right, against "
        f"{percent(clean.value)} as they came; at the worst that can be found for each image, {with_interval(least)}. "
        f"{count(hit['images'])} of {count(hit['of'])} right answers can be turned by handling alone."
    )


def _part(p: Found) -> Part:
    reach = f"{'up to ' if p['name'] == 'blur' else '±'}{p['width']:g}{UNITS.get(p['name'], '')}"
    text = DASH if p["used"] is None else percent(p["used"], 0)
    quarters = "" if p["quarters"] is None else f"half: {_signed(p['quarters'][0])} to {_signed(p['quarters'][2])}"
    return Part(str(NAMES.get(p["name"], p["name"])), reach, p["used"], text, quarters)


def _pictures(f: Findings, own: Found, folder: Path) -> list[tuple[Example, str]]:
    home = folder / "pictures" / own["key"]
    if not (home / "index.json").is_file():
        return []
    records = next((table for cell, table in Store(folder).natural("worst case") if cell.key == own["key"]), None)
    rows = {} if records is None else {row["id"]: dict(row["parameters"]) for row in records.select(["id", "parameters"]).to_pylist()}
    return [(e, ", ".join(_named(k, v) for k, v in rows.get(e.id, {}).items() if v)) for e in examples_of(home, f)]


def _named(name: str, value: float) -> str:
    return f"{name.replace('_', ' ')} {_signed(value)}{'°' if UNITS.get(name) == '°' else ''}"


def _signed(value: float) -> str:
    return f"{value:+.2g}".replace("-", "\N{MINUS SIGN}")


def _estimate(metrics: Found) -> Estimate | None:
    e = metrics.get("accuracy")
    return Estimate(e["value"], e["low"], e["high"]) if e else None


def _entry(metrics: Found) -> Entry:
    e = metrics.get("accuracy")
    return Entry(f"{100 * e['value']:.1f}", f"{100 * e['low']:.1f}{DASH}{100 * e['high']:.1f}") if e else Entry(DASH)


def _share(metrics: Found) -> float | None:
    return metrics["accuracy"]["value"] if "accuracy" in metrics else None


def _change(part: Found) -> Entry:
    e = part["change"].get("accuracy")
    return points(Estimate(e["value"], e["low"], e["high"])) if e else Entry(DASH)
