"""robustdx inspect: what is wrong with these images, before anything is trained or tested on them?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from robustdx.cli import app
from robustdx.cli.screen import Screen
from robustdx.errors import RunError
from robustdx.store import refusing_disk_errors, replace_with

if TYPE_CHECKING:
    from robustdx.data.inspection.inspect import Inspection


@app.command()
def inspect(
    data: Annotated[str, typer.Argument(help="folder:PATH, csv:PATH, medmnist:PATH, ham10000:PATH, ...; options after commas.")],
    out: Annotated[Path | None, typer.Option("--out", "--json", help="JSON file for everything found.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with status 1 if anything was found: for scripts.")] = False,
    show: Annotated[int, typer.Option(help="Findings shown of each kind, the worst first; the JSON file has all.")] = 8,
) -> None:
    """Look for copies, leaks between splits, conflicting labels and odd files.

    robustdx inspect folder:scans --json findings.json
    """
    from robustdx.data import load_dataset
    from robustdx.data.inspection.findings import as_json, verdict
    from robustdx.data.inspection.inspect import inspect as inspect_dataset

    if out is not None and not out.parent.is_dir():
        raise RunError(f"--out: expected a file in a folder that is there, got {out}: make {out.parent} first")
    screen = Screen()
    dataset = load_dataset(data)
    with screen.progress() as progress:
        found = inspect_dataset(dataset, progress)
    screen.say(f"{dataset.name}: {len(dataset):,} images, {len(dataset.classes)} classes\n")
    for sentence in verdict(found):
        screen.say(f"- {sentence}")
    for table in _tables(found, show):
        screen.out.print()
        screen.out.print(table)
    if out is not None:
        text = json.dumps(as_json(found), indent=1) + "\n"
        with refusing_disk_errors(out):
            replace_with(out, lambda path: path.write_text(text, encoding="utf-8"))
        screen.say(f"\nEverything found: {out}")
    if strict and found.found:
        raise typer.Exit(1)


def _tables(found: Inspection, show: int) -> list[Table]:
    """Class counts, then the worst findings of each kind."""
    from robustdx.data.inspection.findings import worst

    tables = [_classes(found)]
    if found.cut:
        tables.append(_cut(found, show))
    if found.copies:
        tables.append(_copies(found, worst(found, found.copies), show))
    for title, problems in (("Images that cannot be read", found.unreadable), ("Odd images", found.odd)):
        if problems:
            rows = [(found.dataset.examples[i].file or found.dataset.examples[i].id, why) for i, why in problems.items()]
            tables.append(_table(title, ("image", "what"), rows, show))
    if found.unlisted:
        tables.append(_table("Files that are not part of the set", ("file",), [(f,) for f in found.unlisted], show))
    return tables


def _classes(found: Inspection) -> Table:
    from robustdx.data.inspection.inspect import class_counts

    counted = class_counts(found.dataset)
    rows = [(name, *(f"{counted[split][name]:,}" for split in counted)) for name in found.dataset.classes]
    return _table("Images of each class", ("class", *counted), rows, len(rows))


def _cut(found: Inspection, show: int) -> Table:
    members: dict[str, list[str]] = {name: [] for name in found.cut}
    for e in found.dataset.examples:
        if e.patient in members:
            members[e.patient].append(f"{e.id} ({e.split})")
    worst = sorted(members, key=lambda name: -len(members[name]))
    rows = [(name, ", ".join(found.cut[name]), _few(members[name])) for name in worst]
    return _table("Patients or lesions cut by the split", ("patient or lesion", "splits", "images"), rows, show)


def _copies(found: Inspection, groups: Sequence[Sequence[int]], show: int) -> Table:
    """One row for each image, a line between pictures."""
    from robustdx.data.inspection.inspect import label_words

    best = {i: p for p in reversed(found.pairs) for i in (p.first, p.second)}
    table = _table("Images that are one picture", ("image", "split", "label", "how"), [], show, total=len(groups))
    for group in groups[:show]:
        for i in group[:6]:
            example, pair = found.dataset.examples[i], best[i]
            how = pair.kind if pair.kind != "near" else f"near, {pair.agreement:.2f}"
            table.add_row(*map(Text, (example.id, example.split or "", label_words(found.dataset, example), how)))
        if len(group) > 6:
            table.add_row(f"and {len(group) - 6} more")
        table.add_section()
    return table


def _few(names: Sequence[str], most: int = 6) -> str:
    return "\n".join([*names[:most], *([f"and {len(names) - most} more"] if len(names) > most else [])])


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], show: int, total: int | None = None) -> Table:
    total = len(rows) if total is None else total
    shown = f", the first {show} of {total:,}" if total > show else ""
    table = Table(*columns, title=f"{title}{shown}", title_justify="left", title_style="bold")
    for row in rows[:show]:
        table.add_row(*(Text(cell) for cell in row))
    return table
