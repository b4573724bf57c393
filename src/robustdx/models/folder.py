"""A robustdx model on disk: `model.safetensors` and, beside it, `model.json`, which says what the weights belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save as serialised

from robustdx.errors import ModelError
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.models.spec import Config, ModelSpec
from robustdx.store import refusing_disk_errors, replace_with

FACTS = "model.json"
WEIGHTS = "model.safetensors"
HUGGINGFACE = "huggingface"
"""Stands for a network whose configuration is kept in `model.json` itself."""


def save(model: DiagnosticModel, spec: ModelSpec, folder: str | Path) -> None:
    """Write a model so that `ModelSpec(source=FOLDER)` loads it again; `spec` says which network it is.

    Each file is written whole or not at all, `model.json` last.

    Raises:
        ModelError: the network is a program, which has no name to be made by.
    """
    folder = Path(folder)
    facts = {
        **_origin(spec.source),
        "kind": type(model.task).__name__.lower(),
        "classes": _own_order(model),
        "size": model.size,
        "mean": model.mean.flatten().tolist(),
        "std": model.std.flatten().tolist(),
        "outputs": model.outputs,
        "resize": model.resize,
    }
    state = {name: value.detach().cpu().contiguous().clone() for name, value in model.network.state_dict().items()}
    with refusing_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        replace_with(folder / WEIGHTS, lambda path: path.write_bytes(serialised(state)))  # by us: a full disk then speaks in its own words
        replace_with(folder / FACTS, lambda path: path.write_text(json.dumps(facts, indent=1), encoding="utf-8"))


def facts_of(folder: Path) -> dict[str, Any]:
    """What `model.json` says.

    Raises:
        ModelError: it cannot be read, or a key is missing.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        missing = [key for key in ("source", "classes", "size", "mean", "std") if key not in facts]
    except (ValueError, TypeError):
        raise ModelError(f"{folder / FACTS} is not the model.json of a robustdx run: copy the folder again") from None
    if missing:
        raise ModelError(f"{folder / FACTS}: expected the key {missing[0]}, which is missing: copy the folder again")
    return facts


def config_of(facts: Mapping[str, Any]) -> Config:
    """The model's own configuration, out of `model.json`."""
    return Config(
        size=tuple(facts["size"]) if facts["size"] else None,
        mean=tuple(facts["mean"]),
        std=tuple(facts["std"]),
        classes=tuple(facts["classes"]),
        outputs=facts.get("outputs", "logits"),
        resize=bool(facts.get("resize", False)),
        kind=facts.get("kind"),
    )


def _origin(source: str) -> dict[str, Any]:
    """What names the network again: its source, or for a network from a folder what that folder says."""
    folder = Path(source)
    if (folder / FACTS).is_file():
        return {key: value for key, value in facts_of(folder).items() if key in ("source", "config")}
    if (folder / "config.json").is_file():
        return {"source": HUGGINGFACE, "config": json.loads((folder / "config.json").read_text(encoding="utf-8"))}
    if folder.is_file():
        raise ModelError(f"a program cannot be saved apart from its file, got {source}: give a network that can be made by name")
    return {"source": source}


def _own_order(model: DiagnosticModel) -> list[str]:
    """The class names in the order of the network's outputs."""
    names = list(model.task.classes)
    for name, place in zip(model.task.classes, model.order or range(len(names)), strict=True):
        names[place] = name
    return names
