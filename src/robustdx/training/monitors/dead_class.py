"""A class that the network never says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from robustdx.data import Dataset
from robustdx.training.care import Care, Record
from robustdx.training.monitors.protocol import Alarm


@final
@dataclass(frozen=True, kw_only=True)
class DeadClass:
    """A class that occurs among the validation images and is said of none of them, epoch after epoch.

    Remedy: its images count twice as much, up to `boosts` times; then it is only told.
    """

    patience: int = 3
    """Epochs in a row."""
    boosts: int = 3
    """How often its weight is doubled."""

    def __call__(self, curve: Sequence[Record], care: Care) -> Alarm | None:
        last = curve[-self.patience :]
        if len(last) < self.patience:
            return None
        for name in last[-1].get("never_predicted", ()):
            waited = last[-1]["epoch"] - care.boosted.get(name, 0) >= self.patience
            if waited and all(name in r.get("never_predicted", ()) for r in last):
                seen = f"dead class: {name} was predicted for no validation image in the last {self.patience} epochs"
                return Alarm("dead_class", seen, "boost" if care.boosts.get(name, 1.0) < 2**self.boosts else "tell", name)
        return None


def without_images(train: Dataset) -> list[str]:
    """The classes, or findings, that no training image has: nothing can be learned about them."""
    if train.kind == "multilabel":
        return [name for k, name in enumerate(train.classes) if not any(e.label[k] == 1 for e in train.examples)]  # type: ignore[index]
    there = {e.label for e in train.examples}
    return [name for k, name in enumerate(train.classes) if k not in there]
