"""run.json of a training: what the cards say about it beside its plan and its curve."""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from robustdx.catalogue import dump
from robustdx.data import Dataset, load_dataset
from robustdx.data.split import with_splits
from robustdx.training.loaded import Training

DEALT = "by robustdx, whole {groups}, class by class: 70 % train, 15 % val, 15 % test"
CARVED = "train and test as the data have them; val was taken out of train by robustdx, whole {groups}"
OWN = "as the data have them"
LICENCES = {"synthetic": "none is needed: robustdx draws the images itself"}
"""What the readers know of it, by the kind of source."""
UNKNOWN_LICENCE = "not known to robustdx: see its source"


def facts(training: Training, command: str, compare: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a training works with; `compare` is the network that the user wants it compared with."""
    model = training.model
    return {
        "robustdx": version("robustdx"),
        "command": command,
        "model": {
            "source": training.plan.model.source,
            "parameters": sum(p.numel() for p in model.network.parameters()),
            "outputs": model.task.outputs[-1],
            "size": list(model.size or ()),
            "mean": model.mean.flatten().tolist(),
            "std": model.std.flatten().tolist(),
        },
        "data": described(training.plan.data, training.plan.task, training.cut_groups),
        "compare": compare,
        "device": str(training.device),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "timm": version("timm")},
    }


def described(source: str, task: str, cut_groups: int) -> dict[str, Any]:
    """The data in numbers. Labels and names of all splits are counted; no image is opened."""
    raw = load_dataset(source)
    data = with_splits(raw).as_task(task)
    parts = {split: data.only(split) for split in data.splits}
    return {
        "source": source,
        "name": data.name,
        "kind": data.kind,
        "classes": list(data.classes),
        "groups": data.groups,
        "grouped": data.grouped,
        "cut_groups": cut_groups,
        "how_split": _how_split(raw, data),
        "licence": LICENCES.get(re.split("[:,]", source)[0], UNKNOWN_LICENCE),
        "splits": {split: _counted(part) for split, part in parts.items()},
    }


def plan_words(training: Training) -> dict[str, Any]:
    """The plan that makes this training again anywhere: with the precision that was found, and eps as people write it."""
    words = {**dump(training.plan), "precision": training.precision}
    return {key: _as_written(value) if key == "eps" else value for key, value in words.items()}


def _as_written(eps: float) -> float | str:
    """A budget as a fraction of 255 where that is the very same number."""
    steps = f"{eps * 255:.6g}"
    return f"{steps}/255" if eps and float(steps) / 255 == eps else eps


def _how_split(raw: Dataset, data: Dataset) -> str:
    groups = data.groups if data.grouped else "images, since the data name no patients"
    if raw.splits in ((), ("train",)):
        return DEALT.format(groups=groups)
    return CARVED.format(groups=groups) if "val" not in raw.splits and "val" in data.splits else OWN


def _counted(part: Dataset) -> dict[str, Any]:
    """Images, patients, and how many images carry each label."""
    labels = Counter(k for e in part.examples for k in ([e.label] if isinstance(e.label, int) else _present(e.label)))
    open_ = sum(v != v for e in part.examples if not isinstance(e.label, int) for v in e.label)
    return {
        "images": len(part),
        "groups": len({e.patient for e in part.examples}) if part.grouped else None,
        "labels": {name: labels[k] for k, name in enumerate(part.classes)},
        "not_annotated": open_,
    }


def _present(label: tuple[float, ...]) -> list[int]:
    return [k for k, value in enumerate(label) if value == 1]
