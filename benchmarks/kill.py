"""Kill `robustdx harden` and `robustdx audit` at random moments, go on with the same command, and compare the bytes.

    python benchmarks/kill.py --kills 20

Each command runs once without disturbance. Then it is started again and again in another folder, and killed with SIGKILL
after a random time, from its first moment (loading included) to its last; when a start comes to its end before it is
killed, the folder is compared and the next start begins anew. Takes about 20 minutes for 20 kills of each on two cores.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

Content = dict[str, object]

PLAN = """
data = "synthetic,task=binary,images=400"
objective = { name = "madry", steps = 1 }
eps = "2/255"
stages = [{ epochs = 4 }]
batch_size = 32
[model]
source = "cnn"
size = 48
"""


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--kills", type=int, default=20)
    words.add_argument("--seed", type=int, default=0)
    asked = words.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="robustdx-kill-"))
    plan = folder / "plan.toml"
    plan.write_text(PLAN)
    attacks = ["--eps", "1/255,2/255", "--attack", "fgsm", "--attack", "pgd,steps=10", "--batch-size", "8"]
    audit = ["audit", "--model", folder / "harden", "--data", "synthetic,task=binary,images=400", *attacks]
    draws = random.Random(asked.seed)
    same = [
        survives("harden", ["harden", plan], folder, asked.kills, draws, trained),
        survives("audit", audit, folder, asked.kills, draws, audited),
    ]
    if all(same):
        shutil.rmtree(folder)
    return 0 if all(same) else 1


def survives(name: str, words: list[object], folder: Path, kills: int, draws: random.Random, content: Callable[[Path], Content]) -> bool:
    """Kill a command so many times; whether every folder that came to its end is the same as without disturbance."""
    whole, killed = folder / name, folder / f"{name}-killed"
    length = finish(words, whole)
    wanted, compared, deaths = content(whole), 0, []
    while len(deaths) < kills or not compared:
        moment = draws.uniform(0, length) if len(deaths) < kills else None
        if start(words, killed, moment) == 0:
            if not matches(content(killed), wanted, killed):
                return False
            compared += 1
            require_idle(words, killed)
            shutil.rmtree(killed)
        else:
            deaths.append(f"{moment:.1f}")
    print(f"{name}: {len(deaths)} kills, after {', '.join(deaths)} of {length:.1f} s; {compared} folders came to their end, all the same")
    return True


def start(words: list[object], out: Path, moment: float | None) -> int:
    """One start of a command, killed after so many seconds; its status."""
    with subprocess.Popen(command(words, out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, told = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        else:
            if process.returncode != 0:
                raise SystemExit(f"{out.name} ended with status {process.returncode}:\n{told}")
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode


def finish(words: list[object], out: Path) -> float:
    """One start without disturbance; the seconds it takes."""
    began = time.monotonic()
    assert start(words, out, None) == 0
    return time.monotonic() - began


def require_idle(words: list[object], out: Path) -> None:
    """A second start of a finished run does nothing, and says so."""
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    told = subprocess.run(command(words, out), capture_output=True, text=True, check=True).stdout
    assert told.startswith("Nothing to do"), told
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


def command(words: list[object], out: Path) -> list[str]:
    return [sys.executable, "-m", "robustdx.cli", *map(str, words), "--out", str(out)]


def trained(folder: Path) -> Content:
    """What `harden` leaves, but for times."""
    return files(folder, ("times.json",))


def audited(folder: Path) -> Content:
    """What `audit` leaves, but for times and for the name of the folder."""
    results = json.loads((folder / "results.json").read_text())
    results.pop("command")
    for cell in results["cells"]:
        cell.pop("seconds")
    return files(folder, ("times.json", "results.json", "report.html", "metrics.csv", "run.json")) | {"results.json": results}


def files(folder: Path, timed: tuple[str, ...]) -> Content:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name not in timed}


def matches(found: Content, wanted: Content, folder: Path) -> bool:
    differ = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    if differ:
        print(f"{folder} differs from {folder.name.removesuffix('-killed')} in {', '.join(differ)}")
    return not differ


if __name__ == "__main__":
    sys.exit(main())
