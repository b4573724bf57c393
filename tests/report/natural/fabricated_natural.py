"""Records of natural perturbations and sequences made up by hand, put into a run that has none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robustdx.auditing.summary import write_results
from robustdx.records import BOXED, FRAMES, PERTURBATION, SEQUENCE, WORST_CASE, Cell, table
from robustdx.store import Store

PERTURBED = {"gaussian_noise": 0.02, "motion_blur": 0.06, "jpeg_compression": 0.0, "dark_corner": 0.11, "brightness": 0.035, "hair": 0.045}
"""What each severity costs, as a share of the images that were right."""
CLIPS = {"rotate": ("previous", 0.05), "gaussian_noise": ("first", 0.12), "translate": ("previous", 0.015)}
"""With which frame each is compared, and how often it turns the answer."""


def add_natural(
    folder: Path, perturbed: Mapping[str, float] = PERTURBED, clips: Mapping[str, Any] = CLIPS, frames: int = 11, handled: bool = True
) -> Path:
    """Put them into the run, and make its results again."""
    store, rng = Store(folder), np.random.default_rng(3)
    run = store.read_json("run.json")
    clean = next(records for cell, records in store.cells() if cell.attack == "clean" and cell.split == "test").to_pylist()
    count = len(run["data"]["classes"])
    for label, cost in perturbed.items():
        for severity in range(1, 6):
            cell = Cell(label, "", 0.0, "test", {"name": label}, False, "saved", natural=PERTURBATION, severity=severity)
            _keep(store, cell, [_perturbed(row, rng.random() < cost * severity, count) for row in clean], None)
    for label, (compared, often) in clips.items():
        cell = Cell(label, "", 0.0, "test", {"name": label}, False, "saved", natural=SEQUENCE, frames=frames, compared=compared)
        _keep(store, cell, [_clip(row, rng.random(frames) < often, count) for row in clean], FRAMES)
    if handled:
        box = {"rotation": 15.0, "brightness": 0.1}
        cell = Cell("handling", "", 0.0, "test", {"box": box}, early_stop=True, verdict="saved", natural=WORST_CASE)
        _keep(store, cell, [_handled(row, rng, count) for row in clean], BOXED)
    about = {"about": "Something that happens.", "fields": {}}
    documents = {PERTURBATION: dict.fromkeys(perturbed, about), SEQUENCE: dict.fromkeys(clips, about)}
    store.write_json("run.json", {**run, "natural": {"modality": "dermoscopy", "documents": documents}})
    write_results(store)
    return folder


def turned(answer: list[int], count: int) -> list[int]:
    """Another answer: the next class, or the first finding the other way round."""
    return [(answer[0] + 1) % count] if len(answer) == 1 else [1 - answer[0], *answer[1:]]


def _perturbed(row: dict[str, Any], lost: bool, count: int) -> dict[str, Any]:
    decision = turned(row["clean_decision"], count) if lost else row["clean_decision"]
    kept = {k: row[k] for k in ("id", "patient", "label", "clean_scores", "clean_decision")}
    return {**kept, "saved_decision": decision, "saved_scores": _scores(decision, count), "forwards": 1, "backwards": 0}


def _handled(row: dict[str, Any], rng: Any, count: int) -> dict[str, Any]:
    lost = rng.random() < 0.4
    side = rng.choice([-1, 1])
    parameters = [("rotation", side * rng.uniform(9, 15)), ("brightness", rng.uniform(-0.1, 0.1))]
    wrong = [float(row["clean_decision"] != row["label"] or rng.random() < 0.1) for _ in range(20)]
    return {**_perturbed(row, lost, count), "parameters": parameters, "sampled_errors": wrong, "forwards": 150, "backwards": 30}


def _clip(row: dict[str, Any], flips: Any, count: int) -> dict[str, Any]:
    decisions = [turned(row["clean_decision"], count) if flip else row["clean_decision"] for flip in flips]
    kept = {k: row[k] for k in ("id", "patient", "label", "clean_scores", "clean_decision")}
    frames = {"frame_decisions": decisions, "frame_scores": [_scores(d, count) for d in decisions]}
    return {**kept, **frames, "forwards": len(flips), "backwards": 0}


def _scores(decision: list[int], count: int) -> list[float]:
    if len(decision) > 1:
        return [0.8 if d else 0.2 for d in decision]
    return [0.7 if k == decision[0] else 0.3 / (count - 1) for k in range(count)]


def _keep(store: Store, cell: Cell, rows: list[dict[str, Any]], schema: Any) -> None:
    store.add_part(cell, 0, table(rows, schema) if schema is not None else table(rows), 3.0)
    store.finish(cell, 1)


def natural_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())["natural"]
