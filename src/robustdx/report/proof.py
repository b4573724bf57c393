"""The curve of what is proved beside what was broken: on the page of a certificate, and in the report of the audit beside it. No torch."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robustdx.report.figures import COLOURS, PERCENT, WORST, Figure, Series, Trace, frame, level, script_json
from robustdx.report.findings import Estimate, Findings, estimate, read
from robustdx.report.numbers import percent, with_interval
from robustdx.store import Store

EMPIRICAL = "empirical"
"""The folder of the audit that attacked the same smoothed model, in that of the certificate."""
PROVED = Series("proved", "certificate", COLOURS[0], "solid", "circle", 3)
BROKEN = Series("left by the attacks", "worst", WORST, "dash", "square", 2)
Results = Mapping[str, Any]
Point = tuple[float, Estimate]


def beside(f: Findings, folder: Path) -> Figure | None:
    """The figure for the report of an audit that attacked a certified model; None of any other."""
    above = Path(folder).resolve().parent
    if Path(folder).name != EMPIRICAL or not (above / "results.json").is_file():
        return None
    results = Store(above).read_json("results.json")
    return figure(curve(results), left(f), results) if "curve" in results else None


def curve(results: Results) -> list[Point]:
    """Share of the images that are right and proved to stay so, by the length of the change."""
    return [(p["radius"], measured(p)) for p in results["curve"]]


def empirical(folder: Path) -> list[Point]:
    """What the audit in the folder of a certificate left; empty where none was asked for."""
    return left(read(folder / EMPIRICAL)) if (folder / EMPIRICAL / "results.json").is_file() else []


def left(f: Findings) -> list[Point]:
    """Accuracy against the length of the change, worst over the attacks."""
    points = [(0.0, estimate(f.clean, "accuracy")), *((eps, estimate(cell, "accuracy")) for eps, cell in f.curve("l2"))]
    return [(eps, e) for eps, e in points if e is not None]


def constant(results: Results) -> list[str]:
    """What needs no network: one answer to all images."""
    most = results.get("majority")
    return [f"always answering “{most['class']}” is right on {percent(most['share'])}"] if most else []


def measured(point: Mapping[str, float]) -> Estimate:
    return Estimate(point["value"], point["low"], point["high"])


def figure(points: Sequence[Point], broken: Sequence[Point], results: Results) -> Figure:
    farthest = max([r for r, _ in (*points, *broken)] or [0.0])
    across = {"range": [-0.03 * farthest, 1.03 * farthest], "tickangle": 0, "tickvals": [r for r, _ in points], "ticktext": _ticks(points)}
    layout = frame(across, PERCENT, "length of the change, L2", top=10) | {"showlegend": False}
    reference = "".join(constant(results))
    layout["shapes"] = [level(results["majority"]["share"])] if reference else []
    traces = [*_traces(points, PROVED, "right and proved beyond"), *_traces(broken, BROKEN, "right under attack at")]
    alt = "Certified accuracy by length of the change. " + "; ".join(f"{r:.3g}: {percent(e.value)}" for r, e in points) + "."
    if broken:
        alt += " Left by the attacks. " + "; ".join(f"{r:.3g}: {percent(e.value)}" for r, e in broken) + "."
    json = script_json({"data": traces, "layout": layout})
    return Figure("certificate", "Right answers against the length of the change", alt, json, reference)


def _ticks(points: Sequence[Point]) -> list[str]:
    return [f"{r:.3g}" if n % 2 == 0 else "" for n, (r, _) in enumerate(points)]


def _traces(points: Sequence[Point], series: Series, what: str) -> list[Trace]:
    """A line with its band."""
    if not points:
        return []
    x, back = [r for r, _ in points], [r for r, _ in reversed(points)]
    edge = [100 * (e.value if e.high is None else e.high) for _, e in points]
    edge += [100 * (e.value if e.low is None else e.low) for _, e in reversed(points)]
    band = {"type": "scatter", "mode": "lines", "x": x + back, "y": edge, "fill": "toself", "line": {"width": 0}, "hoverinfo": "skip"}
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": x,
        "y": [100 * e.value for _, e in points],
        "hovertext": [html.escape(f"{what} {r:.3g}: {with_interval(e)}") for r, e in points],
        "hoverinfo": "text",
        "line": {"color": series.colour, "width": series.width, "dash": series.dash},
        "marker": {"symbol": series.shape, "size": 7, "color": series.colour},
    }
    return [{**band, "fillcolor": series.colour, "opacity": 0.15}, line]
