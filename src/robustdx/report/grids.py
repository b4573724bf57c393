"""The tables of the page, ready to be laid out: every number with its interval, per class, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robustdx.records import ESCALATION
from robustdx.report.findings import CellResult, Estimate, Findings, estimate
from robustdx.report.goals import REACHED
from robustdx.report.numbers import DASH, METRICS, count, duration, eps_range, eps_text, metric_name, pair, percent, shown, threat_name

PER_CLASS = "accuracy:"


@dataclass(frozen=True)
class Entry:
    """One number of a table: value, interval, and the note that says why it is missing."""

    value: str
    interval: str = ""
    note: int | None = None
    share: float | None = None
    """The value in [0, 1], for its shade."""


@dataclass(frozen=True)
class Row:
    """One cell of the run as a row."""

    attack: str
    budget: str
    entries: list[Entry]
    kind: str = ""
    """"clean", "worst" or "": how the row is set off."""


@dataclass(frozen=True)
class Grid:
    """A table: its columns, its rows and its notes."""

    columns: list[str]
    rows: list[Row]
    notes: list[str]


@dataclass(frozen=True)
class Step:
    """Accuracy in the worst case at one budget."""

    budget: str
    accuracy: Estimate


@dataclass(frozen=True)
class Method:
    """How one attack was run."""

    name: str
    about: str
    settings: list[tuple[str, str, str]]
    """Key, value, and what the key means where the run says."""
    effort: list[tuple[str, str]]


def numbers(f: Findings) -> Grid:
    """Every metric of every cell, the clean images first, then by threat and budget."""
    metrics = [m for m in METRICS if any(estimate(c, m) for c in f.cells)]
    metrics += sorted({m for c in f.cells for m in c["metrics"] if ":" not in m} - set(METRICS))
    notes: dict[str, int] = {}
    rows = [Row(_attack(c), _budget(c) + _part(f, c), [_entry(c, m, notes) for m in metrics], _kind(c)) for c in _ordered(f)]
    return Grid([metric_name(m) for m in metrics], rows, list(notes))


def per_class(f: Findings) -> Grid | None:
    """How often each class is answered rightly, clean and in the worst case; None where the results do not say."""
    columns = [("not attacked", f.clean)]
    columns += [(_size(t, e), c) for t in f.threats for e, c in f.curve(t)]
    names = [n for n in f.classes if any(estimate(c, PER_CLASS + n) for _, c in columns)]
    notes: dict[str, int] = {}
    rows = [Row(n, _share_of(f, n), [_entry(c, PER_CLASS + n, notes) for _, c in columns]) for n in names]
    return Grid([title for title, _ in columns], rows, list(notes)) if names else None


def falloff(f: Findings) -> list[Step]:
    """Accuracy (or how often the goal is reached) at every budget of the first threat in the worst case: the strip on the first screen."""
    threat, metric = f.threats[0] if f.threats else "", REACHED if f.plan.get("goal") else "accuracy"
    columns = [("not attacked", f.clean), *((eps_text(threat, e).removesuffix("/255"), c) for e, c in f.told(threat))]
    return [Step(title, e) for title, cell in columns if threat and (e := estimate(cell, metric))]


def methods(f: Findings) -> list[Method]:
    """How each attack was run: its settings with their meaning, its effort and its time."""
    return [_method(f, attack) for attack in f.attacks]


def _method(f: Findings, attack: str) -> Method:
    cells = [c for c in f.cells if c["attack"] == attack]
    words: Mapping[str, Any] = f.run.get("documents", {}).get(attack, {})
    given = cells[0].get("settings") or {}
    settings = [(k, shown(v), str(words.get("fields", {}).get(k, ""))) for k, v in given.items() if k != "name"]
    about = words.get("about") or ABOUT.get(str(given.get("name", attack)), "")
    passes = [c["passes"] / c["images"] for c in cells if c.get("passes") and c.get("images")]
    seconds = sum(c.get("seconds") or 0 for c in cells)
    tried = {t: sorted({c["eps"] for c in cells if c["threat"] == t}) for t in f.threats}
    budgets = "; ".join(f"{threat_name(t)} {eps_range(t, eps)}" for t, eps in tried.items() if eps)
    effort = [("Budgets", budgets), ("Ends at the first success", shown(any(c.get("early_stop") for c in cells)))]
    effort += [("Passes through the network per image", _between(passes))] if passes else []
    effort += [("Time", duration(seconds))] if seconds else []
    return Method(attack if attack == ESCALATION else attack.upper(), str(about), settings, effort)


def _between(values: list[float]) -> str:
    low, high = min(values), max(values)
    return count(low) if round(low) == round(high) else f"{count(low)} to {count(high)}, by budget"


def _ordered(f: Findings) -> list[CellResult]:
    """Clean, then per threat and budget each attack, the worst case last."""
    order = {a: i for i, a in enumerate(["clean", *f.lines, "worst"])}
    several = len(f.lines) > 1
    kept = [c for c in f.cells if several or c["attack"] != "worst"]
    return sorted(kept, key=lambda c: (f.threats.index(c["threat"]) if c["threat"] else -1, c["eps"], order[c["attack"]]))


def _kind(cell: CellResult) -> str:
    return cell["attack"] if cell["attack"] in ("clean", "worst") else ""


def _attack(cell: CellResult) -> str:
    return {"clean": "not attacked", "worst": "worst case", ESCALATION: "escalation"}.get(cell["attack"], str(cell["attack"]).upper())


def _budget(cell: CellResult) -> str:
    return f"{threat_name(cell['threat'])} {eps_text(cell['threat'], cell['eps'])}" if cell["threat"] else DASH


def _part(f: Findings, cell: CellResult) -> str:
    """Said where an attack was shown some of the images only."""
    return f", {count(cell['images'])} images" if cell["attack"] != "worst" and f.shown(cell["attack"]) else ""


def _size(threat: str, eps: float) -> str:
    return eps_text(threat, eps) if threat == "linf" else f"{threat_name(threat)} {eps_text(threat, eps)}"


def _entry(cell: CellResult, metric: str, notes: dict[str, int]) -> Entry:
    if e := estimate(cell, metric):
        return Entry(*pair(metric, e), share=e.value)
    reason = (cell.get("omitted") or {}).get(metric)
    return Entry(DASH, note=notes.setdefault(str(reason), len(notes) + 1) if reason else None)


def _share_of(f: Findings, name: str) -> str:
    n = f.labels.get(name)
    return "" if n is None else f"{count(n)} ({percent(n / f.clean['images'], 0)})" if f.clean.get("images") else count(n)


ABOUT = {
    "fgsm": "One step of the full budget along the sign of the gradient: quick, and the weakest of all.",
    "bim": "Many small steps up the loss, from the image itself.",
    "pgd": "Many small steps up the loss from random starts inside the budget, keeping the worst image.",
}
"""What the attacks do, where a run does not say it itself."""
