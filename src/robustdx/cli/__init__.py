"""The command line: one file per command, no logic below the parsing."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from robustdx.errors import RobustdxError

app = typer.Typer(
    name="robustdx",
    help="Audit and harden diagnostic models for medical images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def main() -> None:
    """Run the command line; what robustdx refuses is one sentence on stderr and status 2."""
    try:
        app()
    except RobustdxError as refusal:
        Console(stderr=True, highlight=False).print(f"robustdx: {refusal}", style="red", markup=False, soft_wrap=True)
        sys.exit(2)
