"""The curve of accuracy against eps, as plotly draws it: one line with its band per attack, and the worst case. No torch."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import Any

from robustdx.report.findings import Estimate, Findings, estimate
from robustdx.report.numbers import METRICS, eps_text, interval, percent, threat_name

COLOURS = ("#0072b2", "#d55e00", "#007a5a", "#9c4f96", "#8a6d00", "#4a6fa5")
"""After Okabe and Ito: told apart with every kind of colour vision, and dark enough on white."""
DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot", "dash")
SHAPES = ("circle", "square", "diamond", "triangle-up", "cross", "x")
WORST, CHANCE = "#16202b", "#6b7480"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
AXIS = {"showline": True, "linecolor": "#8a939d", "ticks": "outside", "tickcolor": "#8a939d", "zeroline": False, "fixedrange": True}
PERCENT = {"range": [-2, 102], "tickvals": [0, 25, 50, 75, 100], "ticktext": ["0", "25", "50", "75", "100 %"], "gridcolor": "#e4e7ea"}
Trace = dict[str, Any]
CURVES = ("goal_reached", "accuracy", "balanced_accuracy")


@dataclass(frozen=True)
class Series:
    """How one line looks, for the plot and for the legend beside it."""

    name: str
    attack: str
    colour: str
    dash: str
    shape: str
    width: float


@dataclass(frozen=True)
class Figure:
    """One plot of the page, with the sentence that says the same to who cannot see it."""

    id: str
    title: str
    alt: str
    json: str
    reference: str
    """What the grey line is; empty where there is none."""


def legend(f: Findings) -> list[Series]:
    """The lines, in the order in which they are drawn: the worst case first and thick, so that its attack shows on top of it."""
    looks = zip(f.lines, COLOURS * 9, DASHES * 9, SHAPES * 9, strict=False)
    own = [Series(f.named(a), a, colour, dash, shape, 2) for a, colour, dash, shape in looks]
    has_worst = len(f.lines) > 1 and any(c["attack"] == "worst" for c in f.cells)
    return [*([Series("worst case", "worst", WORST, "solid", "circle", 6)] if has_worst else []), *own]


def curves(f: Findings) -> list[Figure]:
    """Accuracy and balanced accuracy against eps, under each threat, where they are defined."""
    found = [(threat, metric) for threat in f.threats for metric in CURVES if any(estimate(c, metric) for _, c in f.curve(threat))]
    return [_figure(f, threat, metric) for threat, metric in found]


def _figure(f: Findings, threat: str, metric: str) -> Figure:
    line = _reference(f, metric)
    shapes = [level(line[1])] if line else []
    figure = {"data": [t for s in legend(f) for t in _traces(f, s, threat, metric)], "layout": {**_layout(f, threat), "shapes": shapes}}
    title = f"{METRICS[metric]} against the size of the change" + (f", {threat_name(threat)}" if len(f.threats) > 1 else "")
    return Figure(f"curve-{threat}-{metric}", title, _alt(f, threat, metric), script_json(figure), line[0] if line else "")


def script_json(figure: Trace) -> str:
    """A figure as JSON that cannot end the script element it stands in."""
    return json.dumps(figure).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _traces(f: Findings, series: Series, threat: str, metric: str) -> list[Trace]:
    budgets = f.eps(threat)
    points = [(0.0, estimate(f.clean, metric))] + [(e, estimate(f.cell(series.attack, threat, e), metric)) for e in budgets]
    known = [(_place(e, budgets), point, e) for e, point in points if point is not None]
    if len(known) < 2:
        return []
    at = [x for x, _, _ in known]
    hover = [_hover(series.name, threat, e, point) for _, point, e in known]
    line = {
        "type": "scatter",
        "x": at,
        "y": [100 * p.value for _, p, _ in known],
        "mode": "lines+markers",
        "hovertext": hover,
        "hoverinfo": "text",
        "line": {"color": series.colour, "width": series.width, "dash": series.dash},
        "marker": {"symbol": series.shape, "size": 11 if series.attack == "worst" else 7, "color": series.colour},
    }
    banded = [(x, p.low, p.high) for x, p, _ in known if p.low is not None and p.high is not None]
    return [*([_band(banded, series)] if banded else []), line]


def _band(points: Sequence[tuple[float, float, float]], series: Series) -> Trace:
    there, back = [100 * high for _, _, high in points], [100 * low for _, low, _ in reversed(points)]
    x = [x for x, _, _ in points]
    alpha = 0.2 if series.attack == "worst" else 0.12
    area = {"fill": "toself", "fillcolor": _faint(series.colour, alpha), "line": {"width": 0}, "hoverinfo": "skip"}
    return {"type": "scatter", "mode": "lines", "x": x + x[::-1], "y": there + back, **area}


def level(share: float) -> Trace:
    line = {"color": CHANCE, "width": 1.5, "dash": "dot"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 100 * share, "y1": 100 * share, "line": line, "layer": "below"}


def _faint(colour: str, alpha: float) -> str:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha})"


def _place(eps: float, budgets: Sequence[float]) -> float:
    """Where a budget stands: by doublings, and the clean images one doubling before the smallest."""
    return log2((eps or budgets[0] / 2) / budgets[0])


def _ticks(threat: str, budgets: Sequence[float]) -> list[str]:
    return ["not<br>attacked", *(f"{e * 255:.3g}" if threat == "linf" else f"{e:.3g}" for e in budgets)]


def _hover(name: str, threat: str, eps: float, e: Estimate) -> str:
    size = eps_text(threat, eps) if eps else "not attacked"
    return html.escape(f"{name}, {size}: {percent(e.value)}" + (f" (95 % interval {interval(e)})" if interval(e) else ""))


def _reference(f: Findings, metric: str) -> tuple[str, float] | None:
    """The line a model must stay above: always the same answer, or guessing."""
    if metric == "accuracy" and f.majority:
        return f"always answering “{f.majority[0]}” ({percent(f.majority[1])})", f.majority[1]
    if metric != "balanced_accuracy" or not f.classes:
        return None
    return f"guessing ({percent(f.chance)})", f.chance


def _alt(f: Findings, threat: str, metric: str) -> str:
    points = [("not attacked", estimate(f.clean, metric)), *((eps_text(threat, e), estimate(c, metric)) for e, c in f.curve(threat))]
    values = "; ".join(f"{size}: {percent(p.value)}" for size, p in points if p)
    return f"{METRICS[metric]} in the worst case. {values}. The table below holds every number."


def _layout(f: Findings, threat: str) -> Trace:
    budgets = f.eps(threat)
    places = [_place(e, budgets) for e in (0.0, *budgets)]
    unit = "largest change per pixel, in 255ths" if threat == "linf" else f"length of the change, {threat_name(threat)}"
    across = {"range": [places[0] - 0.35, places[-1] + 0.35], "tickvals": places, "ticktext": _ticks(threat, budgets), "tickangle": 0}
    return frame(across, PERCENT, unit, top=10) | {"showlegend": False}


def frame(across: Mapping[str, Any], up: Mapping[str, Any], title: str, top: int) -> dict[str, Any]:
    """What all curves of a report share: axes, margins, colours. `title` stands under the axis, `top` is the upper margin."""
    return {
        "xaxis": {**AXIS, **across, "showgrid": False, "title": {"text": title, "standoff": 10}},
        "yaxis": {**AXIS, **up},
        "hovermode": "closest",
        "dragmode": False,
        "autosize": True,
        "margin": {"l": 48, "r": 12, "t": top, "b": 62},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": "#16202b"},
        "hoverlabel": {"bgcolor": "#16202b", "font": {"color": "#ffffff", "family": FONT}},
    }
