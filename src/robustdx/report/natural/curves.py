"""Accuracy by severity, a small plot for each perturbation, all with the same axes. No torch."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from robustdx.report.figures import COLOURS, PERCENT, Figure, Trace, frame, level, script_json
from robustdx.report.natural.losses import loss, named
from robustdx.report.numbers import DASH, percent

Found = Mapping[str, Any]
COLOUR = COLOURS[0]


def curves(found: Found) -> list[Figure]:
    """A plot for each perturbation with two severities or more, in the order of the table: the greatest loss first."""
    clean = found["clean"]["metrics"].get("accuracy")
    several = [own for own in found.get("perturbations", []) if len(own["severities"]) > 1]
    return [_figure(n, own, clean) for n, own in enumerate(sorted(several, key=loss)) if clean]


def _figure(n: int, own: Found, clean: Found) -> Figure:
    points = [(at["severity"], at["metrics"]["accuracy"]) for at in own["severities"] if "accuracy" in at["metrics"]]
    data = [_band(points), _line(own["label"], points)]
    figure = {"data": data, "layout": {**_layout(), "shapes": [level(clean["value"])]}}
    told = "; ".join(f"severity {s}: {percent(e['value'])}" for s, e in points)
    alt = f"Accuracy under {named(own['label'])}. As it came: {percent(clean['value'])}; {told}."
    return Figure(f"severity-{n}", named(own["label"]), alt, script_json(figure), "")


def _line(label: str, points: list[tuple[int, Found]]) -> Trace:
    return {
        "type": "scatter",
        "x": [s for s, _ in points],
        "y": [100 * e["value"] for _, e in points],
        "mode": "lines+markers",
        "hovertext": [html.escape(f"{named(label)}, severity {s}: {percent(e['value'])} ({_ends(e)})") for s, e in points],
        "hoverinfo": "text",
        "line": {"color": COLOUR, "width": 2},
        "marker": {"size": 5, "color": COLOUR},
    }


def _band(points: list[tuple[int, Found]]) -> Trace:
    x, there, back = [s for s, _ in points], [100 * e["high"] for _, e in points], [100 * e["low"] for _, e in reversed(points)]
    area = {"fill": "toself", "fillcolor": "rgba(0,114,178,0.14)", "line": {"width": 0}, "hoverinfo": "skip"}
    return {"type": "scatter", "mode": "lines", "x": x + x[::-1], "y": there + back, **area}


def _layout() -> Trace:
    across = {"range": [0.7, 5.3], "tickvals": [1, 2, 3, 4, 5], "ticktext": ["1", "2", "3", "4", "5"], "tickangle": 0}
    made = frame(across, {**PERCENT, "tickvals": [0, 50, 100], "ticktext": ["0", "50", "100"]}, "", top=4)
    return {**made, "showlegend": False, "margin": {"l": 30, "r": 6, "t": 4, "b": 22}, "font": {**made["font"], "size": 11}}


def _ends(e: Found) -> str:
    return f"{100 * e['low']:.1f}{DASH}{100 * e['high']:.1f}"
