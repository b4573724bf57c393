"""robustdx harden: one command trains, goes on, and says what it did."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import robustdx.cli.audit
import robustdx.cli.harden  # noqa: F401  (registers the commands)
from robustdx.cli import app
from robustdx.errors import PlanError, RunError

FLAGS = ["--model", "cnn", "--size", "16", "--data", "synthetic,task=binary,images=60", "--epochs", "1", "--batch-size", "16"]


def harden(*arguments: object) -> str:
    """What the command says; a refusal is raised as it would be to `main`."""
    result = CliRunner().invoke(app, ["harden", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("a folder") / "run"
    told = harden(*FLAGS, "--objective", "madry,steps=1,step_size=1,random_start=false", "--eps", "1/255", "--out", out)
    assert "epoch 1 (madry, 16x16): loss" in told
    assert "robustdx audit --model" in told
    return out


def test_the_folder_says_what_was_asked(run):
    plan = json.loads((run / "plan.json").read_text())
    assert plan["objective"] == {"name": "madry", "steps": 1, "step_size": 1, "random_start": False}
    assert plan["eps"] == pytest.approx(1 / 255)
    assert plan["stages"] == [{"epochs": 1}]


def test_a_second_start_does_nothing_and_says_so(run):
    before = {p: p.stat().st_mtime_ns for p in run.iterdir()}
    told = harden(*FLAGS, "--objective", "madry,steps=1,step_size=1,random_start=false", "--eps", "1/255", "--out", run)
    assert told.startswith("Nothing to do")
    assert {p: p.stat().st_mtime_ns for p in run.iterdir()} == before


def test_a_folder_of_another_plan_is_refused(run):
    with pytest.raises(RunError, match="another plan"):
        harden(*FLAGS, "--seed", 1, "--out", run)


def test_flags_change_single_keys_of_a_plan(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text('data = "synthetic,task=binary,images=60"\nstages = [{ epochs = 7 }]\n[model]\nsource = "cnn"\nsize = 16\n')
    told = harden(plan, "--objective", "madry,steps=3", "--batch-size", 16, "--dry-run")
    assert "7 epochs of 2 steps, madry, 16x16: about" in told
    assert "42 training and 11 validation images" in told
    assert "In all about" in told


def test_a_dry_run_writes_nothing(tmp_path):
    harden(*FLAGS, "--out", tmp_path / "run", "--dry-run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (FLAGS, "give --out FOLDER"),
        (["--model", "cnn", "--out", "run"], "expected the key data"),
        (["nowhere.toml", "--out", "run"], "cannot read the plan nowhere.toml"),
        ([*FLAGS, "--objective", "madry,step=2", "--out", "run"], "did you mean steps?"),
        ([*FLAGS, "--eps", "2", "--out", "run"], "eps must lie in"),
        ([*FLAGS, "--size", "wide", "--out", "run"], "expected a size"),
    ],
)
def test_a_slip_is_named(arguments, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlanError) as refusal:
        harden(*arguments)
    assert told in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_a_recipe_chooses_says_why_and_goes_on_with_what_it_chose(tmp_path):
    asked = ["--model", "cnn", "--size", "32", "--data", "synthetic,task=binary,images=60", "--budget", "30GFLOP"]
    ahead = harden(*asked, "--dry-run")
    assert "short trials come before the training and may change it" in " ".join(ahead.split())
    told = harden(*asked, "--out", tmp_path / "run")
    for what in ("batch: 16 images, because", "work: 0.03 TFLOP, because", "objective: n-fgsm", "epoch 1 (standard"):
        assert what in told
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert recipe["plan"]["stages"] == json.loads((tmp_path / "run" / "plan.json").read_text())["stages"]
    assert "What the recipe chose, and why" in (tmp_path / "run" / "README.md").read_text()
    assert "Nothing to do" in harden(*asked, "--out", tmp_path / "run")
    with pytest.raises(RunError, match="asked for in other words"):
        harden(*asked, "--seed", "1", "--out", tmp_path / "run")
