"""robustdx report: the numbers and the page again, from the records alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustdx.cli import app
from robustdx.cli.screen import Screen


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    bootstrap: Annotated[int | None, typer.Option(min=100, help="Redraws behind each interval; left out, those of the run.")] = None,
) -> None:
    """Rebuild report.html, results.json and tables/*.csv of a run from its records; needs no model and no images.

    Of a run of `robustdx certify`: certificate.html, results.json and certificates.csv. Of one of `robustdx harden`: the curve, the cards.
    """
    from robustdx.auditing.certificates.results import is_certified, write_certificates
    from robustdx.auditing.summary import write_results
    from robustdx.report.certificate import write_certificate
    from robustdx.report.hardening.cards import write_cards
    from robustdx.report.hardening.hardened import is_hardened
    from robustdx.report.page import write_report
    from robustdx.store import Store

    if is_certified(Store(run)):
        write_certificates(Store(run), bootstrap)
        Screen().say(f"The report is {write_certificate(run)}")
        return
    if is_hardened(run):
        Screen().say(f"The model card is {write_cards(run)}")
        return
    write_results(Store(run), bootstrap)
    Screen().say(f"The report is {write_report(run)}")
