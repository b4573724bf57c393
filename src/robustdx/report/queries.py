"""The query curve: how many images an adversary who can only ask has broken after so many queries. No torch."""

from __future__ import annotations

from math import log10

from robustdx.report.figures import COLOURS, DASHES, PERCENT, SHAPES, Figure, Trace, frame, script_json
from robustdx.report.findings import CellResult, Findings
from robustdx.report.numbers import count, eps_text, percent, threat_name


def query_curves(f: Findings) -> list[Figure]:
    """One plot for each black-box attack and threat, with a line for each eps."""
    found = [
        (a, t, [c for e in f.eps(t) if (c := f.cell(a, t, e)) and c.get("queries", {}).get("within")]) for a in f.attacks for t in f.threats
    ]
    return [_figure(f, n, attack, threat, cells) for n, (attack, threat, cells) in enumerate(found) if cells]


def _figure(f: Findings, n: int, attack: str, threat: str, cells: list[CellResult]) -> Figure:
    title = f"Images broken by {f.named(attack)} against the number of queries" + (f", {threat_name(threat)}" if len(f.threats) > 1 else "")
    last = "; ".join(f"{eps_text(threat, c['eps'])}: {percent(c['queries']['broken'][-1])}" for c in cells)
    alt = f"{title}. At the end: {last}."
    figure = {"data": [_line(c, i) for i, c in enumerate(cells)], "layout": _layout(max(c["queries"]["within"][-1] for c in cells))}
    return Figure(f"queries-{n}", title, alt, script_json(figure), "")


def _line(cell: CellResult, i: int) -> Trace:
    curve, size = cell["queries"], eps_text(cell["threat"], cell["eps"])
    pairs = list(zip(curve["within"], curve["broken"], strict=True))
    return {
        "type": "scatter",
        "name": size,
        "x": [log10(n) for n, _ in pairs],
        "y": [100 * share for _, share in pairs],
        "mode": "lines+markers",
        "hovertext": [f"{size}, {count(n)} queries: {percent(share)}" for n, share in pairs],
        "hoverinfo": "text",
        "line": {"color": COLOURS[i % len(COLOURS)], "width": 2, "dash": DASHES[i % len(DASHES)]},
        "marker": {"symbol": SHAPES[i % len(SHAPES)], "size": 7, "color": COLOURS[i % len(COLOURS)]},
    }


def _layout(most: int) -> Trace:
    tens = [10**k for k in range(len(str(most)) + 1) if 10**k <= most]
    across = {
        "range": [-0.1, log10(most) + 0.1],
        "tickvals": [log10(n) for n in tens],
        "ticktext": [count(n) for n in tens],
        "tickangle": 0,
    }
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    return frame(across, PERCENT, "queries for one image", top=40) | {"showlegend": True, "legend": legend}
