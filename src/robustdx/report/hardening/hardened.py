"""The folder of a finished training, read: what its picture and its cards are made from. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustdx.errors import RunError

AUDIT = "audit"
"""The folder of the quick audit at the end of a training, inside that of the training."""
CARD = "README.md"
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Hardened:
    """One training: its plan, how it went, and what came out."""

    folder: Path
    plan: Mapping[str, Any]
    run: Mapping[str, Any]
    curve: Mapping[str, Any]
    manifest: Mapping[str, Any]
    seconds: Sequence[float]
    """What each epoch took."""

    @property
    def data(self) -> Mapping[str, Any]:
        return dict(self.run["data"])

    @property
    def model(self) -> Mapping[str, Any]:
        return dict(self.run["model"])

    @property
    def classes(self) -> list[str]:
        return [str(c) for c in self.data["classes"]]

    @property
    def epochs(self) -> list[Record]:
        return list(self.curve["epochs"])

    @property
    def chosen(self) -> Record:
        """The epoch whose weights were kept."""
        return next(e for e in self.epochs if e["epoch"] == self.curve["chosen"])

    @property
    def criterion(self) -> str:
        """The number that chose it."""
        return str(self.curve["chosen_by"])

    @property
    def events(self) -> list[Record]:
        """What monitors saw and did; empty where there were none, or nothing happened."""
        return [e for e in self.curve.get("events") or [] if "epoch" in e]

    @property
    def objectives(self) -> list[str]:
        """Names of what was lowered, in the order in which they came."""
        return list(dict.fromkeys(str(e["objective"]) for e in self.epochs))

    @property
    def judged(self) -> bool:
        """Whether validation images were attacked to choose the epoch."""
        return "robust_accuracy" in self.chosen or "robust_balanced_accuracy" in self.chosen

    @property
    def chance(self) -> float:
        """Balanced accuracy of guessing."""
        return 0.5 if self.data["kind"] == "multilabel" else 1 / len(self.classes)


def is_hardened(folder: Path) -> bool:
    """Whether a folder holds a training that said how it was made."""
    return all((Path(folder) / name).is_file() for name in ("model.json", "curve.json", "run.json"))


def read(folder: Path) -> Hardened:
    """Read the folder of a finished training.

    Raises:
        RunError: a file is missing or damaged.
    """
    folder = Path(folder)
    plan, run, curve, manifest = (_json(folder / f"{name}.json") for name in ("plan", "run", "curve", "manifest"))
    times = folder / "times.json"
    return Hardened(folder, plan, run, curve, manifest, _json(times)["seconds"] if times.is_file() else [])


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"expected {path}, which a finished training leaves, got {error}: run `robustdx harden` again to go on") from error
