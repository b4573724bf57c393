"""Who broke how many images, at what cost, and what falls first: told in words and a table. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from robustdx.report.findings import CellResult, Findings, estimate
from robustdx.report.grids import PER_CLASS, Entry, Row
from robustdx.report.numbers import DASH, count, eps_text, joined, percent, plural, threat_name

HALF = 0.5
NAMED = 3
"""How many findings a sentence names."""


@dataclass(frozen=True)
class Adversaries:
    """What the section shows."""

    told: list[str]
    columns: list[str]
    rows: list[Row]


def adversaries(f: Findings) -> Adversaries | None:
    """None where nothing was attacked, or where the results are from before broken images were counted."""
    columns = [(t, e) for t in f.threats for e in f.eps(t)]
    if not any("broken" in c for c in f.cells):
        return None
    rows = [row for attack in f.attacks for row in _rows(f, attack, columns)]
    cheapest = Row("Cheapest that breaks half", "", [_cheapest_entry(f, t, e) for t, e in columns], "worst")
    sentences = (text for t in f.threats for text in (_cheapest(f, t), _asking(f, t), _first(f, t)))
    return Adversaries([s for s in (*sentences, *_drawn(f)) if s], [_size(f, t, e) for t, e in columns], [*rows, cheapest])


def passes(cell: CellResult) -> float:
    """Passes per image that it attacked; one that stops early leaves alone what is wrong already."""
    attacked = cell["broken"]["of"] if cell.get("early_stop") and "broken" in cell else cell["images"]
    return float(cell["passes"] / max(1, attacked))


def share(cell: CellResult) -> float:
    """How many of the images that there was something to break on are broken."""
    counts = cell.get("broken") or {}
    return float(counts["images"] / counts["of"]) if counts.get("of") else 0.0


def cheapest(f: Findings, threat: str, eps: float, at_least: float = HALF) -> CellResult | None:
    """The attack that takes the fewest passes per image among those that break such a share of the images, and at least one."""
    cells = [c for a in f.attacks if (c := f.cell(a, threat, eps)) and share(c) >= at_least and c["broken"]["images"]]
    return min(cells, key=passes, default=None)


def falling(f: Findings, threat: str) -> tuple[float, list[tuple[str, float, float]]] | None:
    """The smallest eps at which a finding or class is below half of its clean accuracy, and those that are: name, clean, then."""
    for eps, cell in f.curve(threat):
        pairs = ((name, estimate(f.clean, PER_CLASS + name), estimate(cell, PER_CLASS + name)) for name in f.classes)
        fallen = [(name, was.value, now.value) for name, was, now in pairs if was and now and now.value < was.value / 2]
        if fallen:
            return eps, sorted(fallen, key=lambda one: one[2] / one[1])
    return None


def _rows(f: Findings, attack: str, columns: list[tuple[str, float]]) -> Iterator[Row]:
    """An attack, and below it the members of a cascade."""
    cells = [f.cell(attack, t, e) for t, e in columns]
    shown = f.shown(attack)
    yield Row(attack.upper(), f"{count(shown)} of {count(f.clean.get('images'))}" if shown else "all", [_entry(c) for c in cells])
    for member in next((c["members"] for c in cells if c and c.get("members")), {}):
        yield Row(f"of these {member.upper()}", "", [_member((c or {}).get("members", {}).get(member)) for c in cells])


def _entry(cell: CellResult | None) -> Entry:
    if not cell or "broken" not in cell:
        return Entry(DASH)
    return Entry(f"{count(cell['broken']['images'])} of {count(cell['broken']['of'])}", _each(passes(cell)))


def _member(counts: dict[str, Any] | None) -> Entry:
    if counts is None:
        return Entry(DASH)
    n = counts["broken"]
    return Entry(count(n), _each((counts["forwards"] + counts["backwards"]) / n) if n else "")


def _cheapest_entry(f: Findings, threat: str, eps: float) -> Entry:
    cell = cheapest(f, threat, eps)
    return Entry(cell["attack"].upper(), _each(passes(cell))) if cell else Entry(DASH)


def _cheapest(f: Findings, threat: str) -> str:
    budgets = f.eps(threat)
    if half := next((c for e in budgets if (c := cheapest(f, threat, e))), None):
        start = f"Half of the images or more are broken from {_at(half)} on"
        return f"{start}; the cheapest adversary that does it there is {half['attack'].upper()}, at {_each(passes(half))} per image."
    if some := next((c for e in budgets if (c := cheapest(f, threat, e, 0.0))), None):
        counts = f"{count(some['broken']['images'])} of {count(some['broken']['of'])}"
        start = f"No attack broke half of the images. The cheapest that broke any, at {_at(some)}, is {some['attack'].upper()}"
        return f"{start}, at {_each(passes(some))} per image ({counts})."
    return f"No attack of the plan broke a single image under {threat_name(threat)}."


def _asking(f: Findings, threat: str) -> str:
    """What it takes who can only ask, at the smallest budget at which that breaks half of the images, or else at the largest."""
    cells = [c for a in f.attacks for e in f.eps(threat) if (c := f.cell(a, threat, e)) and c.get("queries", {}).get("within")]
    if not cells:
        return ""
    halved = [(c["eps"], n, c) for c in cells for n, s in zip(c["queries"]["within"], c["queries"]["broken"], strict=True) if s >= HALF]
    if halved:
        _, within, cell = min(halved, key=lambda one: one[:2])
        return f"Who can only ask breaks half of the images within {plural(within, 'query', 'queries')} at {_at(cell)} ({_name(f, cell)})."
    cell = max(cells, key=lambda c: (c["eps"], c["queries"]["broken"][-1]))
    most, within = cell["queries"]["broken"][-1], cell["queries"]["within"][-1]
    return f"Who can only ask breaks {percent(most)} of the images within {count(within)} queries at {_at(cell)} ({_name(f, cell)})."


def _first(f: Findings, threat: str) -> str:
    """Which finding or class falls first. Under a goal the adversary is after something else."""
    if f.plan.get("goal") or len(f.classes) < 2:
        return ""
    what, fallen = "finding" if f.kind == "multilabel" else "class", falling(f, threat)
    if fallen is None:
        return f"No {what} fell below half of its accuracy when not attacked."
    eps, names = fallen
    some = joined([f"{name} ({percent(was)} to {percent(now)})" for name, was, now in names[:NAMED]])
    more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
    where = _at({"threat": threat, "eps": eps}) + (", the smallest change tried" if eps == f.eps(threat)[0] else "")
    return f"First to fall below half of its accuracy when not attacked, at {where}: {some}{more}."


def _drawn(f: Findings) -> Iterator[str]:
    for attack in f.attacks:
        if n := f.shown(attack):
            yield (
                f"{attack.upper()} was shown {count(n)} of the {count(f.clean['images'])} images only, drawn by patient: "
                "its numbers are about those, and it may break others that count as standing here."
            )


def _name(f: Findings, cell: CellResult) -> str:
    n = f.shown(cell["attack"])
    return cell["attack"].upper() + (f", tried on {plural(n, 'image')}" if n else "")


def _each(n: float) -> str:
    return f"{n:,.1f} passes" if n < 10 and n != round(n) else f"{n:,.0f} {'pass' if n == 1 else 'passes'}"


def _size(f: Findings, threat: str, eps: float) -> str:
    return eps_text(threat, eps) if threat == "linf" else f"{threat_name(threat)} {eps_text(threat, eps)}"


def _at(cell: CellResult) -> str:
    text = eps_text(cell["threat"], cell["eps"])
    return text if cell["threat"] == "linf" else f"length {text}"
