"""How many test images each trained network gets right, as they are and in the worst case of two strong attacks.

python -m reproduce.hardening.judge --data DATA --runs RUNS [--images 2000]

A line for each run goes to rows.jsonl beside this file, so that it outlives the networks: what stands there is not measured again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from reproduce.hardening.methods import EPS
from robustdx.attacks import APGD, APGDTargeted, Cascade
from robustdx.auditing.cell import Batch, attacked_rows, clean_rows
from robustdx.auditing.escalation.climb import badness
from robustdx.data import Dataset, load_dataset
from robustdx.data.batches import batch
from robustdx.data.split import subset
from robustdx.models import DiagnosticModel, ModelSpec, Subject, load, still
from robustdx.threats import Linf

ROWS = Path(__file__).parent / "rows.jsonl"
TOGETHER = 64
WORST = Cascade(members=(APGD(loss="ce", steps=50), APGDTargeted(targets=3, steps=50)))
"""APGD-CE, then APGD-T towards the three nearest classes, on what still stands."""


def judged(model: DiagnosticModel, data: Dataset) -> dict[str, Any]:
    """For each image 1 where it is right and 0 where not: as it came, and as saved in the worst case of both attacks."""
    exact, fast, clean, robust = model.in_precision(torch.float32), model.in_precision(torch.bfloat16), "", ""
    with still(exact), still(fast):
        for start in range(0, len(data), TOGETHER):
            at = range(start, min(start + TOGETHER, len(data)))
            pixels, y = batch(data, at, model.size, model.channels)
            x = (pixels.float() / 255).contiguous(memory_format=torch.channels_last)
            part = Batch(x, y, tuple(data.examples[i].id for i in at), (None,) * len(at))
            before = clean_rows(exact, part, 0)
            rows, _ = attacked_rows(Subject(exact, fast), part, before, WORST, Linf(EPS), "worst", 0)
            clean += "".join(str(1 - int(badness(row) >= 1)) for row in before)
            robust += "".join(str(1 - int(badness(row) >= 1)) for row in rows)
    return {"clean": clean, "robust": robust}


def trained(folder: Path) -> dict[str, Any]:
    """What a run says of itself: the epoch that validation images chose, and what it took."""
    curve, times = (json.loads((folder / f"{name}.json").read_text()) for name in ("curve", "times"))
    plan = json.loads((folder / "plan.json").read_text())
    chosen = curve["epochs"][curve["chosen"] - 1]
    val = {key: chosen[key] for key in ("balanced_accuracy", "robust_balanced_accuracy")}
    events = [f"epoch {e['epoch']}: {e['seen']}; {e['done']}" for e in curve["events"]]
    epochs = [stage["epochs"] for stage in plan["stages"]]
    return {"val": val, "epochs": epochs, "seconds": round(sum(times["seconds"])), "events": events, "objective": plan["objective"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    done = {row["run"] for row in rows()}
    data = subset(load_dataset(args.data).only("test"), args.images, 0)
    for folder in sorted(path.parent for path in args.runs.glob("*/manifest.json")):
        if folder.name in done:
            continue
        model = load(ModelSpec(source=str(folder)), data.kind, data.classes)
        images = {"ids": [e.id for e in data.examples], "patients": [e.patient for e in data.examples]}
        row = {"run": folder.name, **trained(folder), **judged(model, data), "y": [e.label for e in data.examples], **images}
        with ROWS.open("a") as lines:
            lines.write(json.dumps(row) + "\n")
        print(folder.name, row["clean"].count("1"), row["robust"].count("1"), "of", len(data), flush=True)


def rows() -> list[dict[str, Any]]:
    """What was measured so far."""
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.is_file() else []


if __name__ == "__main__":
    main()
