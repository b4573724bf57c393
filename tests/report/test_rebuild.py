"""robustdx report makes the same numbers and the same page again from the records alone."""

import shutil

import pytest

from robustdx.cli.report import report
from robustdx.errors import RunError


def test_results_tables_and_page_come_back_byte_for_byte(run, tmp_path, capsys):
    folder = shutil.copytree(run, tmp_path / run.name)
    made = [folder / "results.json", folder / "report.html", *sorted((folder / "tables").iterdir())]
    before = {path: path.read_bytes() for path in made}
    for path in made:
        path.unlink()
    report(folder, bootstrap=None)
    assert {path: path.read_bytes() for path in made} == before
    assert str(folder / "report.html") in capsys.readouterr().out


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="expected"):
        report(tmp_path, bootstrap=None)
