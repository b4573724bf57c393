"""Folders of trainings made up by hand, as `robustdx harden` leaves them, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CLASSES = {
    "binary": ("benign", "melanoma"),
    "multiclass": ("bcc", "melanoma", "nevus"),
    "ordinal": ("no DR", "mild", "severe"),
    "multilabel": ("Effusion", "Mass", "Nodule"),
}


def make_training(
    folder: Path, kind: str = "binary", *, judged: bool = True, events: list[dict[str, Any]] | None = None, **data: Any
) -> Path:
    """A finished training of three epochs in two stages."""
    classes = data.pop("classes", CLASSES[kind])
    labels = {name: 30 + 10 * n for n, name in enumerate(classes)}
    split = {"images": sum(labels.values()), "groups": 50, "labels": labels, "not_annotated": 4 if kind == "multilabel" else 0}
    described = {"source": "folder:scans", "name": "scans", "kind": kind, "classes": list(classes), "groups": "patients", "grouped": True}
    described |= {"cut_groups": 0, "how_split": "as the data have them", "licence": "not known to robustdx: see its source"}
    described |= {"splits": {"train": split, "val": split, "test": split}}
    judge = {"judge": {"name": "pgd", "steps": 3}} if judged else {}
    plan = {
        "data": "folder:scans",
        "threat": "linf",
        "eps": 2 / 255,
        "objective": {"name": "madry", "steps": 2},
        "average": 0.99,
        "seed": 0,
    }
    plan |= {"stages": [{"epochs": 1, "size": 16, "objective": {"name": "standard"}}, {"epochs": 2}], "precision": "bfloat16", **judge}
    model = {"source": "timm:resnet18", "parameters": 11_177_025, "outputs": 1, "size": [32, 32], "mean": [0.5] * 3, "std": [0.5] * 3}
    run = {"robustdx": "0.1.0", "command": "robustdx harden plan.toml --out run", "model": model, "data": {**described, **data}}
    curve = {"chosen_by": "robust_balanced_accuracy" if judged else "balanced_accuracy", "chosen": 3, "epochs": epochs(judged)}
    curve |= {"events": events} if events is not None else {}
    manifest = {"robustdx": "0.1.0", "sha256": {"model.safetensors": "9f2c" * 16}}
    folder.mkdir(parents=True)
    for name, content in {"plan": plan, "run": run, "curve": curve, "manifest": manifest, "times": {"seconds": [1.5, 2.5, 2.5]}}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def epochs(judged: bool) -> list[dict[str, Any]]:
    found = []
    for n, (objective, size) in enumerate([("standard", 16), ("madry", 32), ("madry", 32)], start=1):
        record = {
            "epoch": n,
            "size": [size, size],
            "objective": objective,
            "loss": 1 / n,
            "accuracy": 0.7,
            "balanced_accuracy": 0.6 + n / 50,
        }
        found.append(record | ({"robust_accuracy": 0.1 * n, "robust_balanced_accuracy": 0.1 * n} if judged else {}))
    return found
