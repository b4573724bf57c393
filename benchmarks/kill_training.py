"""Kill trainings at random moments and inside checkpoint writes, go on, and compare the bytes of what they end with.

    python benchmarks/kill_training.py [--kills 30] [--objectives standard,madry,noisy]

For each objective a small training runs once without disturbance. Then it is started again and again in another folder and
killed with SIGKILL: every other time after a random number of seconds, every other time while the file of a checkpoint is
half written (its part file is there). Checkpoints are written after every step, so that there is much to go wrong. A folder
that comes to its end is compared in every file but times.json. Children are forked from a process that has loaded torch, so
that no moment is spent on nothing. Takes about 5 minutes on one core.

`kill.py` does the same to the commands, loading included.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

from robustdx.catalogue import build
from robustdx.store import Store
from robustdx.training import OBJECTIVES, checkpoint
from robustdx.training.loop import Loop
from robustdx.training.plan import HardenPlan
from robustdx.training.prepare import prepare, words

PLAN = {
    "data": "synthetic,task=binary,images=80",
    "model": {"source": "timm:test_resnet", "size": 32},
    "eps": "4/255",
    "stages": [{"epochs": 1, "size": 24}, {"epochs": 2}],
    "batch_size": 8,
    "accumulate": 2,
    "judge": {"name": "fgsm"},
}


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--kills", type=int, default=30, help="over all objectives together")
    asked.add_argument("--objectives", default="standard,madry,noisy")
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    torch.set_num_threads(1)  # a process with threads must not be forked
    root, names, draws = Path(tempfile.mkdtemp(prefix="robustdx-kill-")), given.objectives.split(","), random.Random(given.seed)
    shares = [given.kills * (i + 1) // len(names) - given.kills * i // len(names) for i in range(len(names))]
    same = [survives(name, root, kills, draws) for name, kills in zip(names, shares, strict=True)]
    if all(same):
        shutil.rmtree(root)
    return 0 if all(same) else 1


def survives(name: str, root: Path, kills: int, draws: random.Random) -> bool:
    """Kill one training so many times; whether every folder that came to its end is the same as without disturbance."""
    plan = build(HardenPlan, {**PLAN, "objective": settings(name)}, where="plan")
    whole, killed = root / name, root / f"{name}-killed"
    began = time.monotonic()
    assert start(plan, whole, None, "moment") == 0
    length, wanted, compared = time.monotonic() - began, files(whole), 0
    deaths = {"moment": 0, "write": 0}
    while sum(deaths.values()) < kills or not compared:
        how = min(deaths, key=lambda k: deaths[k])
        moment = draws.uniform(0, length / 2) if sum(deaths.values()) < kills else None
        if start(plan, killed, moment, how) == -signal.SIGKILL:
            deaths[how] += 1
            continue
        differ = sorted(n for n in {*files(killed), *wanted} if files(killed).get(n) != wanted.get(n))
        if differ:
            print(f"{name}: {killed} differs from the undisturbed run in {', '.join(differ)}")
            return False
        compared += 1
        shutil.rmtree(killed)
    print(
        f"{name}: {deaths['moment']} kills at random moments of {length:.1f} s, {deaths['write']} inside a checkpoint write; "
        f"{compared} folders came to their end, weights and all other files bit-identical",
        flush=True,
    )
    return True


def settings(name: str) -> dict[str, object]:
    """An objective by name; one with steps takes two, to be quick."""
    return {"name": name} | ({"steps": 2} if "steps" in OBJECTIVES.find(name).__dataclass_fields__ else {})


def start(plan: HardenPlan, folder: Path, moment: float | None, how: str) -> int:
    """One start in a child, killed at this moment, or in the first checkpoint write after it; its status."""
    child = os.fork()
    if child == 0:
        train(plan, folder)
    until, part = time.monotonic() + (moment if moment is not None else float("inf")), folder / f"{checkpoint.FILE}.part"
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until and (how == "moment" or part.exists()):
            os.kill(child, signal.SIGKILL)
        time.sleep(0.0005)


def train(plan: HardenPlan, folder: Path) -> None:
    """The child: train, and leave without a word."""
    status = 1
    try:
        training = prepare(plan)
        Loop(training, Store.open(folder, words(training)), lambda what, done, whole: None, keep_every=0).run()
        status = 0
    finally:
        os._exit(status)


def files(folder: Path) -> dict[str, bytes]:
    """What a training leaves, but for times."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "times.json"}


if __name__ == "__main__":
    sys.exit(main())
