"""`robustdx audit` as it is meant to be used: plans and flags, a dry run, paths as people have them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from specimens import CLASSES, COLOURS, SIZE, write_csv, write_folder

from robustdx.records import read_table


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan_of(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())["plan"]


def test_a_second_start_of_a_finished_audit_does_nothing_and_says_so(robustdx, quick, model, specimens, tmp_path):
    words = ["audit", quick, *model, "--data", specimens["csv"], "--out", tmp_path / "run"]
    first = robustdx(*words)
    assert "The report is" in first.out
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in (tmp_path / "run").rglob("*")}
    again = robustdx(*words)
    assert again.status == 0
    assert again.out == f"Nothing to do: {tmp_path / 'run'} holds this audit, finished. The report is {tmp_path / 'run' / 'report.html'}\n"
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in (tmp_path / "run").rglob("*")} == before


def test_a_dry_run_says_what_would_run_and_writes_nothing(robustdx, quick, model, specimens, standing):
    before = sorted(standing.rglob("*"))
    outcome = robustdx("audit", quick, *model, "--data", specimens["folder"], "--dry-run", "--out", "run")
    assert outcome.status == 0
    assert "fgsm-linf-32-all: 24 images" in outcome.out
    assert "escalation-linf-32-all: those that still stand" in outcome.out
    assert "About 1 min on this machine" in outcome.out
    assert sorted(standing.rglob("*")) == before


def test_a_preset_in_place_of_attacks_and_its_price_in_a_dry_run(robustdx, model, specimens, standing):
    words = ["audit", *model, "--data", specimens["csv"], "--eps", "16/255", "--preset", "quick"]
    outcome = robustdx(*words, "--dry-run")
    assert "The preset quick: A first look in minutes" in outcome.out
    assert "fgsm 2; pgd 41." in outcome.out
    assert robustdx(*words, "--out", "run").status == 0
    assert plan_of(Path("run"))["attacks"] == [{"name": "fgsm"}, {"name": "pgd", "steps": 20}]


def test_an_attack_may_be_shown_some_of_the_images(robustdx, quick, model, specimens, standing):
    outcome = robustdx("audit", quick, *model, "--data", specimens["folder"], "--attack", "square,queries=5,images=8", "--dry-run")
    assert "square-linf-32-all: 8 images" in outcome.out


def test_flags_change_single_keys_of_the_plan(robustdx, model, specimens, standing):
    Path("plan.toml").write_text(
        f'data = "{specimens["csv"]}"\neps = ["1/255"]\nattacks = [{{ name = "fgsm" }}]\nbootstrap = 100\nseed = 3\n\n'
        f'[model]\nsource = "timm:test_resnet"\nweights = "{model[3]}"\nsize = 64\n'
    )
    outcome = robustdx("audit", "plan.toml", "--eps", "16/255", "--size", "32", "--attack", "bim,steps=2", "--out", "run")
    assert outcome.status == 0, outcome.err
    plan = plan_of(Path("run"))
    assert plan["eps"] == [16 / 255]
    assert plan["seed"] == 3
    assert plan["model"]["size"] == [32, 32]
    assert plan["model"]["source"] == "timm:test_resnet"
    assert plan["attacks"] == [{"name": "bim", "steps": 2}]


def test_paths_may_be_relative_and_hold_spaces_commas_and_umlauts(robustdx, quick, images, model, standing):
    """Relative to where one stands, in a plan as on the command line."""
    place = standing / "Dr. Größe, ward 3"
    write_folder(place / "skin scans", images, CLASSES)
    (place / "own weights.safetensors").write_bytes(Path(str(model[3])).read_bytes())
    os.chdir(place)
    Path("my plan.toml").write_text(
        'data = "folder:skin scans,patient=(P\\\\d+)_"\nbootstrap = 100\neps = ["32/255"]\nattacks = [{ name = "fgsm" }]\n'
        '[model]\nsource = "timm:test_resnet"\nweights = "own weights.safetensors"\nsize = 32\n'
    )
    outcome = robustdx("audit", "my plan.toml", "--out", "my runs/the first")
    assert outcome.status == 0, outcome.err
    assert (place / "my runs" / "the first" / "report.html").is_file()
    assert not (place / "my runs" / "the first" / "my runs").exists()
    assert "Nothing to do" in robustdx("audit", "my plan.toml", "--out", "my runs/the first").out


def test_the_command_in_the_report_runs_again(robustdx, quick, images, model, standing):
    write_folder(standing / "skin scans", images, CLASSES)
    assert robustdx("audit", quick, *model, "--data", "folder:skin scans", "--out", "first run").status == 0
    command = json.loads(Path("first run/run.json").read_text())["command"]
    script = Path(sys.executable).with_name("robustdx")
    environment = {**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    again = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("Nothing to do: first run holds this audit")


def test_ranking_drives_the_attacks_to_their_end(robustdx, quick, model, specimens, tmp_path):
    words = ["audit", quick, *model, "--data", specimens["folder"], "--attack", "pgd,steps=2"]
    found = {}
    for name, flags in {"plain": [], "ranking": ["--ranking"]}.items():
        assert robustdx(*words, *flags, "--out", tmp_path / name).status == 0
        cells = json.loads((tmp_path / name / "results.json").read_text())["cells"]
        found[name] = next(c for c in cells if c["attack"] == "pgd")
    assert "auroc_macro" not in found["plain"]["metrics"]
    assert "auroc_macro" in found["plain"]["omitted"]
    assert "auroc_macro" in found["ranking"]["metrics"]


def test_a_quick_look_takes_whole_patients(robustdx, quick, model, specimens, tmp_path):
    outcome = robustdx("audit", quick, *model, "--data", specimens["folder"], "--images", 7, "--out", tmp_path / "run")
    assert outcome.status == 0
    data = json.loads((tmp_path / "run" / "results.json").read_text())["data"]
    assert (data["images"], data["patients"]) == (8, 4)


@pytest.mark.parametrize("label", ["../../elsewhere", "[red]:x:[/]", "PGD, 3 Schritte (Größe)"])
def test_an_attack_may_be_called_anything(label, robustdx, model, specimens, tmp_path):
    """The name stands in the report as it is, and no file is written outside the run."""
    plan, run = tmp_path / "plan.toml", tmp_path / "deep" / "run"
    plan.write_text(f'bootstrap = 100\neps = ["32/255"]\nattacks = [{{ name = "fgsm", label = "{label}" }}]\n', encoding="utf-8")
    outcome = robustdx("audit", plan, *model, "--data", specimens["folder"], "--no-escalation", "--out", run)
    assert outcome.status == 0, outcome.err
    assert label in outcome.err
    assert [c["attack"] for c in json.loads((run / "results.json").read_text(encoding="utf-8"))["cells"]][1] == label
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "plan.toml"]
    assert len(list((run / "cells").iterdir())) == 2


def test_the_order_of_the_rows_changes_nothing(robustdx, quick, images, model, tmp_path):
    """Random starts belong to the image: every row that is found again has the same outcome."""
    table = write_csv(tmp_path / "labels.csv", images, CLASSES)
    header, *rows = table.read_text().splitlines()
    (tmp_path / "turned.csv").write_text("\n".join([header, *reversed(rows)]))
    found = []
    for name in ("labels", "turned"):
        words = [*model, "--data", f"csv:{tmp_path / name}.csv", "--attack", "pgd,steps=2", "--batch-size", 24]
        assert robustdx("audit", quick, *words, "--out", tmp_path / name).status == 0
        records = read_table(tmp_path / name / "cells" / "pgd-linf-32-all" / "records.parquet").to_pylist()
        found.append({row["id"]: row["saved_decision"] for row in records})
    assert list(found[0]) == list(reversed(found[1]))
    assert found[0] == found[1]


def test_unusual_files_are_read_right(robustdx, quick, model, tmp_path):
    """Palettes and photos that are stored lying down give the scores of the plain files."""
    flat = np.zeros((len(CLASSES), SIZE, SIZE, 3), np.uint8) + COLOURS[CLASSES][:, None, None].astype(np.uint8)
    flat[:, : SIZE // 4] += 20
    plain, odd = write_folder(tmp_path / "plain", flat, CLASSES), write_folder(tmp_path / "odd", flat, CLASSES)
    for i, file in enumerate(sorted(odd.rglob("*.png"))):
        image = Image.open(file)
        if i % 2:
            image.quantize(16).save(file)
        else:
            exif = Image.Exif()
            exif[0x0112] = 6  # to be turned clockwise by a quarter
            image.transpose(Image.Transpose.ROTATE_90).save(file, exif=exif)
    scores = []
    for root in (plain, odd):
        assert robustdx("audit", quick, *model, "--data", f"folder:{root}", "--out", tmp_path / f"run {root.name}").status == 0
        scores.append(read_table(tmp_path / f"run {root.name}" / "cells" / "clean-all" / "records.parquet")["clean_scores"].to_pylist())
    assert scores[0] == scores[1]


def test_patients_in_two_splits_are_reported_before_anything_runs(robustdx, quick, images, model, tmp_path):
    table = write_csv(tmp_path / "labels.csv", images, CLASSES, ["val", "val", "test", "test"] * 6)
    outcome = robustdx("audit", quick, *model, "--data", f"csv:{table}", "--out", tmp_path / "run")
    assert outcome.status == 0
    assert outcome.err.startswith("warning: 12 patients or lesions lie in more than one split")


@pytest.mark.parametrize("words", [["audit", "--help"], ["--help"], []])
def test_help(words, robustdx):
    outcome = robustdx(*words)
    assert "robustdx" in outcome.out + outcome.err
    assert "Traceback" not in outcome.err


def test_an_option_that_does_not_exist(robustdx):
    outcome = robustdx("audit", "--atack", "pgd")
    assert outcome.status == 2
    assert "--atack" in outcome.err
