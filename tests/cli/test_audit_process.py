"""An audit that is stopped, by whatever means, goes on with the same command and ends with the same records."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

NEVER = 1e9
Run = Callable[..., "Death"]


@dataclass(frozen=True)
class Death:
    """How a child ended, after how long, and what it said."""

    status: int
    seconds: float
    told: str


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    script = str(Path(__file__).with_name("nursery.py"))
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()


@pytest.fixture
def run(nursery: subprocess.Popen, tmp_path: Path) -> Run:
    """`robustdx ...` in a process of its own, with a signal after so many seconds."""

    def call(*words: object, after: float = NEVER, number: int = signal.SIGKILL) -> Death:
        told = tmp_path / "told.txt"
        asked = {"words": list(map(str, words)), "after": after, "signal": int(number), "told": str(told)}
        nursery.stdin.write(json.dumps(asked) + "\n")
        nursery.stdin.flush()
        return Death(**json.loads(nursery.stdout.readline()), told=told.read_text())

    return call


@pytest.fixture
def words(model: list[object], specimens: dict[str, str], tmp_path: Path) -> list[object]:
    """An audit of a good second in small steps."""
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'bootstrap = 100\nbatch_size = 3\neps = ["8/255", "32/255"]\nattacks = [{ name = "fgsm" }, { name = "pgd", steps = 3 }]\n'
    )
    return ["audit", plan, *model, "--data", specimens["folder"]]


def content(folder: Path) -> dict[str, object]:
    """Everything that does not depend on the time: files as bytes, and results.json without seconds and its own command."""
    timed = ("times.json", "results.json", "report.html", "metrics.csv", "run.json")
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name not in timed}
    results = json.loads((folder / "results.json").read_text())
    results.pop("command")
    for cell in results["cells"]:
        cell.pop("seconds")
    return files | {"results.json": results}


def test_killed_at_random_moments(run, words, tmp_path):
    whole = run(*words, "--out", tmp_path / "whole")
    assert whole.status == 0, whole.told
    moments, deaths = random.Random(0), 0
    while deaths < 5:
        if run(*words, "--out", tmp_path / "killed", after=moments.uniform(0.05, 0.5) * whole.seconds).status == 0:
            shutil.rmtree(tmp_path / "killed")  # it was quicker: begin anew
        else:
            deaths += 1
    end = run(*words, "--out", tmp_path / "killed")
    assert end.status == 0, end.told
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    again = run(*words, "--out", tmp_path / "killed")
    assert again.status == 0
    assert again.told.startswith("Nothing to do: ")


def test_ctrl_c_ends_quietly_and_the_same_command_goes_on(run, words, tmp_path):
    whole = run(*words, "--out", tmp_path / "whole")
    for share in (0.6, 0.4, 0.2):
        stopped = run(*words, "--out", tmp_path / "stopped", after=share * whole.seconds, number=signal.SIGINT)
        if stopped.status != 0:
            break
        shutil.rmtree(tmp_path / "stopped")  # it was quicker: begin anew
    assert stopped.status == 130, stopped.told
    assert "Traceback" not in stopped.told
    assert "the same command goes on" in stopped.told
    assert run(*words, "--out", tmp_path / "stopped").status == 0
    assert content(tmp_path / "stopped") == content(tmp_path / "whole")
