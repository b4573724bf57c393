"""The page and the table of a test of detectors, made from its results.json alone. No torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from robustdx.report.numbers import eps_text, threat_name
from robustdx.store import Store

METRICS = ("auroc", "detected", "false_alarms", "broken", "broken_unnoticed")
COLUMNS = ("detector", "attack", "threat", "eps_255", "attacker", "metric", "value", "low", "high", "images")


def write_alarm_report(folder: Path) -> Path:
    """Write report.html and tables/alarms.csv beside results.json, and say where the page is."""
    store = Store(Path(folder))
    results = store.read_json("results.json")
    store.write_text("tables/alarms.csv", _table(results))
    store.write_text("report.html", _page(results))
    return store.path / "report.html"


def row_texts(results: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The rows as they are read: shares as counts of a hundred, "62 (51 to 71)"."""
    for row in results["rows"]:
        texts = {name: number(row["metrics"].get(name), 100 if name != "auroc" else 1) for name in METRICS}
        budget = f"{threat_name(row['threat'])} {eps_text(row['threat'], row['eps'])}"
        yield {**{k: row[k] for k in ("detector", "attack", "attacker")}, "budget": budget, **texts}


def number(found: Mapping[str, float] | None, scale: int) -> str:
    """A number with its interval; a dash where it has no meaning."""
    if found is None:
        return "\N{EN DASH}"
    digits = 0 if scale == 100 else 2
    value, low, high = (f"{found[k] * scale:.{digits}f}" for k in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def headline(results: Mapping[str, Any]) -> str:
    """What a reader should take away: how much the best detector still lets through from who knows it."""
    aware: dict[str, float] = {}
    for row in results["rows"]:
        found = row["metrics"].get("broken_unnoticed")
        if row["attacker"] == "aware" and found is not None:
            aware[row["detector"]] = max(aware.get(row["detector"], 0.0), found["value"])
    if not aware:
        return "No image was right before the attack: nothing can be said of the detectors."
    best = min(aware, key=lambda label: aware[label])
    return (
        f"An attacker who knows the detector turns {aware[best] * 100:.0f} of 100 right decisions wrong without an alarm "
        f"where {best} watches" + (", the best of those tried." if len(aware) > 1 else ".")
    )


def _table(results: Mapping[str, Any]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in results["rows"]:
        for name, found in row["metrics"].items():
            numbers = (f"{found[k]:.6g}" for k in ("value", "low", "high"))
            eps = f"{row['eps'] * 255:.6g}"
            writer.writerow((row["detector"], row["attack"], row["threat"], eps, row["attacker"], name, *numbers, row["images"]))
    return file.getvalue()


def _page(results: Mapping[str, Any]) -> str:
    templates = Environment(loader=PackageLoader("robustdx.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    rows = list(row_texts(results))
    bars = [
        {name: 100 * row["metrics"].get(name, {"value": 0.0})["value"] for name in ("broken", "broken_unnoticed")}
        for row in results["rows"]
    ]
    return templates.get_template("alarms.html.j2").render(r=results, rows=list(zip(rows, bars, strict=True)), headline=headline(results))
