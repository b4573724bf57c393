"""robustdx gate: whether a finished audit passes, for a script or a CI to act on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustdx.cli import app
from robustdx.cli.screen import Screen


@app.command()
def gate(
    run: Annotated[Path, typer.Argument(help="Folder of a finished audit.")],
    least: Annotated[str, typer.Option(help="What must hold in the worst case, at the lower end of its interval: 0.6.")],
    eps: Annotated[str, typer.Option(help="At which budget of the audit: 2/255.")],
    metric: Annotated[str, typer.Option(help="accuracy, balanced_accuracy, sensitivity, ... as in results.json.")] = "balanced_accuracy",
) -> None:
    """Pass (status 0) if a number holds in the worst case and can be believed; if not, say why (status 1).

    robustdx gate run --least 0.6 --eps 2/255
    """
    from robustdx.catalogue import number
    from robustdx.report.findings import read
    from robustdx.report.gate import refusals

    screen, reasons = Screen(), list(refusals(read(run), number(least), number(eps), metric))
    for reason in reasons:
        screen.say(reason)
    screen.say("Does not pass." if reasons else f"Passes: {metric} of at least {least} at {eps} in the worst case, established.")
    if reasons:
        raise typer.Exit(1)
