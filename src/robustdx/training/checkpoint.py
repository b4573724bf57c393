"""A training on disk: one file, whole or not there, from which it goes on as if nothing had happened."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import asdict, dataclass, field

import torch

from robustdx.catalogue import key
from robustdx.errors import RunError
from robustdx.store import Store
from robustdx.training.care import Care, Record
from robustdx.training.learner import State

FILE = "checkpoint.pt"


@dataclass
class Good:
    """Where training goes back to when something goes wrong: always the end of an epoch, so that it does not depend on the clock."""

    epoch: int
    """Epochs finished by then."""
    learner: State
    """The learner's state."""


@dataclass
class Progress:
    """How far a training has come, beside its weights."""

    epoch: int = 0
    """Epochs finished."""
    skipped: int = 0
    """Epochs of the plan that a stage did not come to, for want of time."""
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
    elapsed: float = 0.0
    """Seconds that this training has taken until the last checkpoint, in all its lives."""
    best: State | None = None
    """Weights of the chosen epoch so far."""
    best_epoch: int = 0
    """Its number, counted from 1."""
    best_value: float = -1.0
    """What it was chosen by."""
    care: Care = field(default_factory=Care)
    """What monitors have seen and done."""
    good: Good | None = None
    """The last weights that no monitor objected to; None without monitors."""

    @property
    def place(self) -> int:
        """Where in the plan the epoch under way stands, counted from 0."""
        return self.epoch + self.skipped


def save(store: Store, progress: Progress, learner: State) -> None:
    """Write everything that the next step depends on."""
    words = {k: v for k, v in vars(progress).items() if k not in ("best", "good")} | {"care": asdict(progress.care)}
    content = {"plan": _plan_key(store), "words": json.dumps(words), "best": progress.best, "learner": learner}
    content["good"] = None if progress.good is None else vars(progress.good)
    buffer = io.BytesIO()
    torch.save(content, buffer)  # to memory first: a full disk is then told by the file system, in its own words
    store.write_bytes(FILE, buffer.getvalue())


def _plan_key(store: Store) -> str:
    """Which training the folder belongs to."""
    return key(store.read_json("plan.json"))


def load(store: Store, device: torch.device) -> tuple[Progress, State] | None:
    """What was written last, or None where nothing was. Nothing in the file is executed.

    Raises:
        RunError: the file is damaged, or of another training.
    """
    path = store.path / FILE
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        words = json.loads(content["words"])
        good = None if content["good"] is None else Good(**content["good"])
        progress = Progress(**{**words, "care": Care(**words["care"])}, best=content["best"], good=good)
        plan, learner = content["plan"], content["learner"]
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise RunError(f"{path} cannot be read as a checkpoint ({reason}): remove the folder and start anew") from error
    if plan != _plan_key(store):
        raise RunError(f"expected the checkpoint of the training in plan.json, {path} is of another: remove the folder and start anew")
    return progress, learner


def require_room(store: Store, learner: State, moments: int) -> None:
    """Refuse a disk without room for a checkpoint, before hours are spent: the old file and the new one lie there at once.

    Raises:
        RunError: says what is needed and what is free.
    """
    network = sum(v.numel() * v.element_size() for v in learner["model"].values())
    needed = 2 * network * (2 * (2 + moments) + 1)  # weights, their average and the optimiser's moments, now and when last good; the best
    free = shutil.disk_usage(store.path).free
    if free < needed:
        raise RunError(
            f"expected {needed / 2**20:.0f} MiB for checkpoints in {store.path}, {free / 2**20:.0f} MiB are free: "
            "make room or give another --out"
        )


def remove(store: Store) -> None:
    """Take it away once the run is whole."""
    (store.path / FILE).unlink(missing_ok=True)
