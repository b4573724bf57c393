"""A training on disk: one file, whole or not there, from which it goes on as if nothing had happened."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

import torch

from robustdx.errors import RunError
from robustdx.store import Store
from robustdx.training.learner import State

FILE = "checkpoint.pt"

Record = dict[str, Any]


@dataclass
class Progress:
    """How far a training has come, beside its weights."""

    epoch: int = 0
    """Epochs finished."""
    batch: int = 0
    """Batches finished in the epoch that is under way."""
    loss: float = 0.0
    """Sum of the losses of those batches."""
    curve: list[Record] = field(default_factory=list)
    """One record for each finished epoch."""
    seconds: list[float] = field(default_factory=list)
    """What each of them took; times stand apart, since they differ from run to run."""
    spent: float = 0.0
    """Seconds in the epoch that is under way."""
    best: State | None = None
    """Weights of the chosen epoch so far."""
    best_epoch: int = 0
    """Its number, counted from 1."""
    best_value: float = -1.0
    """What it was chosen by."""


def save(store: Store, progress: Progress, learner: State) -> None:
    """Write everything that the next step depends on."""
    words = {k: v for k, v in vars(progress).items() if k != "best"}
    content = {"words": json.dumps(words), "best": progress.best, "learner": learner}
    buffer = io.BytesIO()
    torch.save(content, buffer)  # to memory first: a full disk is then told by the file system, in its own words
    store.write_bytes(FILE, buffer.getvalue())


def load(store: Store, device: torch.device) -> tuple[Progress, State] | None:
    """What was written last, or None where nothing was. Nothing in the file is executed.

    Raises:
        RunError: the file is damaged.
    """
    path = store.path / FILE
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        return Progress(**json.loads(content["words"]), best=content["best"]), content["learner"]
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise RunError(f"{path} cannot be read as a checkpoint ({reason}): remove the folder and start anew") from error


def remove(store: Store) -> None:
    """Take it away once the run is whole."""
    (store.path / FILE).unlink(missing_ok=True)
