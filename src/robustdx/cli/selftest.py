"""robustdx selftest: the auditor examined on planted defences with known answers."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from robustdx.cli import app
from robustdx.cli.screen import Screen


@app.command()
def selftest(
    only: Annotated[list[str] | None, typer.Option(help="One planted defence by name; repeat for more. Left out, all.")] = None,
    images: Annotated[int, typer.Option(min=4, max=64, help="How many of the built-in images.")] = 64,
    processes: Annotated[int | None, typer.Option(min=1, help="Defences at a time; left out, one for each core.")] = None,
) -> None:
    """Audit planted fake defences, and honest ones, and compare with what is known: an auditor that cannot be examined is worth nothing.

    robustdx selftest
    """
    from robustdx.selftest.examination import examination, names

    chosen, screen, grades = names(only or ()), Screen(), []
    with screen.progress() as tell:
        tell("planted defences", 0, len(chosen))
        for grade in examination(chosen, images=images, processes=processes or os.cpu_count() or 1):
            grades.append(grade)
            tell(f"planted defences: {grade.name}", len(grades), len(chosen))
    screen.grades(grades)
    if not all(grade.passed for grade in grades):
        raise typer.Exit(1)
