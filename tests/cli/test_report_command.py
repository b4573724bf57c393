"""`robustdx report` makes the numbers and the page again, from the records alone."""

import json
import shutil

import pytest


def test_the_page_is_made_again_without_model_and_images(robustdx, quick, model, specimens, tmp_path):
    assert robustdx("audit", quick, *model, "--data", specimens["folder"], "--out", tmp_path / "run").status == 0
    moved = tmp_path / "elsewhere" / "run"
    shutil.copytree(tmp_path / "run", moved)
    before = json.loads((moved / "results.json").read_text())
    shutil.rmtree(moved / "tables")
    (moved / "report.html").unlink()
    (moved / "results.json").unlink()
    outcome = robustdx("report", moved)
    assert outcome.status == 0, outcome.err
    assert outcome.out == f"The report is {moved / 'report.html'}\n"
    assert json.loads((moved / "results.json").read_text()) == before
    assert (moved / "tables" / "accuracy.csv").is_file()


def spoilt(folder):
    records = next(folder.glob("cells/clean-*/records.parquet"))
    records.write_bytes(records.read_bytes()[:-8])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (shutil.rmtree, "run.json"),
        (lambda folder: (folder / "run.json").write_text("{"), "run.json"),
        (lambda folder: shutil.rmtree(folder / "cells"), "at least one whole cell"),
        (spoilt, "records.parquet is damaged"),
        (lambda folder: next(folder.glob("cells/fgsm*/cell.json")).write_text("{"), "cell.json"),
    ],
)
def test_a_folder_that_is_no_run_or_a_damaged_one(spoil, told, robustdx, quick, model, specimens, tmp_path):
    assert robustdx("audit", quick, *model, "--data", specimens["folder"], "--out", tmp_path / "run").status == 0
    spoil(tmp_path / "run")
    outcome = robustdx("report", tmp_path / "run")
    assert outcome.status == 2, outcome.err
    assert outcome.err.startswith("robustdx: ")
    assert outcome.err.count("\n") == 1
    assert told in outcome.err
