"""The command line: one file per command, no logic below the parsing."""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module
from typing import TextIO

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


COMMANDS = (
    *("demo", "audit", "gate", "attack", "certify", "detect", "harden"),
    *("purify", "perturb", "export", "inspect", "report", "selftest", "catalogue"),
)
"""The files of this room that hold commands, in the order of --help."""

INTERRUPTED = 130
"""The status after Ctrl-C, as shells have it."""


def main() -> None:
    """Run the command line; what robustdx or the file system refuses is one sentence on stderr and status 2."""
    # Threads that wait must not spin: on a shared machine that costs several times the work itself. Read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for name in COMMANDS:
        import_module(f"robustdx.cli.{name}")
    warnings.showwarning = _as_sentence
    try:
        app()
    except RobustdxError as refusal:
        _complain(str(refusal), "red")
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        _complain(f"cannot use {error.filename}: {error.strerror}: check the path and your rights", "red")
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _complain("stopped; the same command goes on from here", "yellow")
        raise


def _as_sentence(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    """A warning for the person at the terminal is one line; those of libraries for their programmers are left out."""
    if issubclass(category, UserWarning):
        _complain(f"warning: {message}", "yellow")


def _complain(sentence: str, style: str) -> None:
    Console(stderr=True, highlight=False, emoji=False, markup=False).print(f"robustdx: {sentence}", style=style, soft_wrap=True)
