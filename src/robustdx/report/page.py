"""The report: one self-contained page made from results.json and the run folder, nothing else. No torch."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from robustdx.report import blame, cautions, figures, grids, words
from robustdx.report.adversaries import adversaries
from robustdx.report.before import HEADER, METRICS, caption, comparison, rows, table_rows
from robustdx.report.doubt import doubt
from robustdx.report.findings import Findings, read
from robustdx.report.glossary import GLOSSARY
from robustdx.report.natural.part import GLOSSARY as NATURAL_GLOSSARY
from robustdx.report.natural.part import natural
from robustdx.report.natural.tables import HEADER as HEADER_OF_NATURAL
from robustdx.report.natural.tables import natural_rows
from robustdx.report.numbers import TIMES, count, duration, shown
from robustdx.report.pictures import examples
from robustdx.report.proof import BROKEN, PROVED, beside
from robustdx.report.queries import query_curves
from robustdx.report.tables import write_table, write_tables
from robustdx.store import Store

RESULT = re.compile(r"((?:more than |fewer than )?\b\d[\d.,]*(?:\N{NO-BREAK SPACE}%(?! intervals)| of 100\b))")
"""A share in a sentence."""
BRACKETS = re.compile(r"(\(\d[\d.]*\N{EN DASH}\d[\d.]*\))")
"""An interval in a sentence: never broken over two lines."""


def write_report(folder: Path) -> Path:
    """Write `report.html` and `tables/` beside the results they are made from, and say where the page is.

    Raises:
        RunError: no results, results of another schema, or a folder that cannot be written.
    """
    folder = Path(folder)
    store, f = Store(folder), read(folder)
    page = render(f, folder)
    write_tables(folder)
    if (before := comparison(folder, f)) and before.changes:
        write_table(store, "before", HEADER, table_rows(before))
    if found := f.results.get("natural"):
        write_table(store, "natural", HEADER_OF_NATURAL, natural_rows(found))
    write_table(store, "broken", blame.HEADER, blame.broken_rows(store, f.data))
    store.write_bytes("report.html", page.encode())
    return folder / "report.html"


def render(f: Findings, folder: Path) -> str:
    """The page as text. Everything from the run is escaped; the only scripts are ours and plotly's, named by their hash."""
    plots, queries, proof, before = figures.curves(f), query_curves(f), beside(f, folder), comparison(folder, f)
    without = natural(f, folder)
    scripts = [plotly(), source("report.js")] if plots or queries or proof or (without and without.figures) else []
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            f=f,
            name=words.name(f),
            headline=words.headline(f),
            answers=[("What was tested", words.tested(f)), ("What came out", words.came_out(f)), ("How sure it is", words.sure(f))],
            cautions=cautions.cautions(f),
            doubt=doubt(f),
            falloff=grids.falloff(f),
            legend=figures.legend(f),
            plots=plots,
            queries=queries,
            proof=proof,
            proof_legend=[PROVED, BROKEN],
            before=before,
            before_metrics=list(METRICS.values()),
            before_rows=rows(before) if before else [],
            before_caption=caption(before) if before and before.changes else "",
            who=adversaries(f),
            numbers=grids.numbers(f),
            classes=grids.per_class(f),
            examples=examples(folder, f),
            methods=grids.methods(f),
            facts=list(_facts(f)),
            limits=cautions.limits(f),
            glossary=(*GLOSSARY, *(NATURAL_GLOSSARY if without else ())),
            natural=without,
            natural_over=words.groups(f) if f.clean.get("patients") else "images",
            command=f.run.get("command") or f"robustdx audit --data {shlex.quote(str(f.data.get('source', '...')))}",
            rebuild=f"robustdx report {shlex.quote(folder.name)}",
            style=Markup(source("report.css")),
            scripts=[Markup(s) for s in scripts],
            policy=policy(scripts),
        )
    )


def policy(scripts: list[str]) -> str:
    """A content security policy under which nothing is fetched and no script runs but these."""
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{d}'" for d in digests) or "'none'"
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'; form-action 'none'"


def _facts(f: Findings) -> Iterator[tuple[str, str]]:
    """How the run was made, as name and value."""
    point = f.results.get("operating_point") or {}
    facts: Mapping[str, Any] = {
        "Model": f.model.get("source"),
        "Weights": f.model.get("weights"),
        "Weights, SHA-256": f.model.get("sha256"),
        "Parameters": f.model.get("parameters") and count(f.model["parameters"]),
        "Defence": "; ".join(f.model.get("defence") or []),
        "Input": f.model.get("size") and f" {TIMES} ".join(map(str, f.model["size"])) + " pixels, height by width",
        "Data": f.data.get("source"),
        "Kind of task": f.kind,
        "Classes": ", ".join(f.classes),
        "Images tested": f.clean.get("images") and f"{count(f.clean['images'])}, split “{f.split}”",
        f"{words.groups(f).capitalize()} tested": f.clean.get("patients") and count(f.clean["patients"]),
        f"{words.groups(f).capitalize()} cut by a split": f.data.get("cut_groups"),
        "Operating point": point and _point(f, point),
        "Search precision": f.run.get("precision"),
        "Verdict": "float32, " + " and ".join(sorted({_form(c) for c in f.cells})),
        "Intervals": f"95 %, percentile bootstrap over {words.groups(f) if f.clean.get('patients') else 'images'}" + _draws(f),
        "Seed": f.run.get("seed"),
        "Time in attacks": (total := sum(c.get("seconds") or 0 for c in f.cells if c["attack"] != "worst")) and duration(total),
        "Versions": ", ".join(f"{k} {v}" for k, v in {"robustdx": f.results.get("robustdx"), **f.run.get("versions", {})}.items() if v),
    }
    return ((k, str(v)) for k, v in facts.items() if v or v == 0)


def _point(f: Findings, point: Mapping[str, Any]) -> str:
    """Thresholds by class, and where they were fixed."""
    given = point.get("threshold")
    values = ", ".join(f"{c} {t:.3g}" for c, t in zip(f.classes, given, strict=True)) if isinstance(given, list) else shown(given)
    images = f" ({count(point['images'])} images)" if point.get("images") else ""
    return f"threshold {values}; from {point.get('from', 'unknown')}{images}"


def _draws(f: Findings) -> str:
    return f", {count(f.resamples)} draws" if f.resamples else ""


def _form(cell: Mapping[str, Any]) -> str:
    return "on the unrounded image" if cell.get("verdict") == "searched" and cell["eps"] > 0 else "on the image as saved in 8 bit"


@cache
def templates() -> Environment:
    loader = PackageLoader("robustdx.report")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters.update(emphasised=emphasised, lower_first=lambda s: s[:1].lower() + s[1:])
    return made


def emphasised(sentence: str) -> Markup:
    """A sentence, escaped, with its results set in bold; interval ends and budgets stay plain."""
    bold = RESULT.sub(r"<strong>\1</strong>", str(escape(sentence)))
    return Markup(BRACKETS.sub(r'<span class="whole">\1</span>', bold))


def source(name: str) -> str:
    text, _, _ = templates().loader.get_source(templates(), name)  # type: ignore[union-attr]
    return text


@cache
def plotly() -> str:
    """plotly.js, as the plotly package carries it."""
    return str(get_plotlyjs())
