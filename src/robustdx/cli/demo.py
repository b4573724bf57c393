"""robustdx demo: the whole way, on what is built in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustdx.cli import app
from robustdx.cli.screen import Screen

HOME = Path(__file__).parents[1] / "demo"
"""The built-in network and the plan that audits it."""


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/demo")) -> None:
    """Audit the built-in model on the built-in images, and print where the report is."""
    from robustdx.auditing.plan import AuditPlan
    from robustdx.catalogue import build, read_words
    from robustdx.cli.audit import carry_out

    words = {**read_words(HOME / "plan.toml"), "model": {"source": str(HOME)}}
    carry_out(build(AuditPlan, words, where="demo"), out, Screen())
