"""What a data set is: a table of examples, and a way to read their pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from robustdx.errors import PlanError

Kind = Literal["binary", "multiclass", "multilabel", "ordinal"]
Pixels = NDArray[np.uint8]
"""(H, W, C) 8-bit pixels; C is 1 or 3."""
Mask = NDArray[np.bool_]
"""(H, W): which pixels lie inside a region, such as the lesion."""
Label = int | tuple[float, ...]
"""The index of a class, or one of 0, 1, NaN (not annotated) per finding."""


@dataclass(frozen=True)
class Example:
    """One image of one patient, without its pixels."""

    id: str
    """Unique in the data set; names the image's random stream and its record."""
    label: Label
    patient: str | None = None
    """Patient or lesion: what a split must not cut in two and what intervals are drawn over. None: not known."""
    split: str | None = None
    """"train", "val" or "test"; None where the set has no split."""
    file: str = ""
    """Where the image lies, for messages and for `inspect`; empty where it is drawn."""
    mask: str = ""
    """Where the mask of its region (the lesion) lies; empty where there is none, or where it is drawn."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Everything else the set tells: age, site, camera, ..."""


@dataclass(frozen=True)
class Clips:
    """Sequences of frames that a frozen set holds beside its images."""

    sequences: Mapping[str, Mapping[str, Any]]
    """Name to what was done: `settings`, `compared` (with "previous" or "first"), `random`."""
    count: int
    """Frames of each."""
    read: Callable[[str, str, tuple[int, int] | None, int], NDArray[np.uint8]]
    """`read(id, name, size, channels)` gives (n, H, W, C) 8-bit frames, verified."""
    digest: str
    """Tells one benchmark from another."""
    preset: str
    """By which name it was asked for."""


@dataclass(frozen=True)
class Dataset:
    """Examples in a fixed order, their class names, and `read`, which gives the pixels of one example.

    `read(example, size, channels)` gives (H, W, C) 8-bit pixels at `size` = (height, width), or at the image's own size
    where `size` is None; `channels` is 1 or 3. It raises `ImageError` for a file that cannot be read.
    """

    name: str
    classes: tuple[str, ...]
    kind: Kind
    examples: Sequence[Example]
    read: Callable[[Example, tuple[int, int] | None, int], Pixels]
    groups: str = "patients"
    """What `Example.patient` names here, in the plural: "patients" or "lesions"."""
    mask: Callable[[Example, tuple[int, int]], Mask | None] | None = None
    """`mask(example, size)` gives the region of an example at `size` = (height, width), None where it has none; left out, none has."""
    clips: Clips | None = None
    """The frames of sequences, where the set holds them (`frozen:SET`)."""

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def grouped(self) -> bool:
        """Whether every example names its patient or lesion."""
        return all(e.patient is not None for e in self.examples)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that occur, in the order train, val, test, others."""
        usual = ("train", "val", "test")
        found = {e.split for e in self.examples if e.split is not None}
        return tuple(s for s in usual if s in found) + tuple(sorted(found - set(usual)))

    def as_task(self, task: str) -> Dataset:
        """The same images with their labels read as another kind; "auto" leaves them as they are.

        Classes that are read as grades (ordinal) stand in the order of `classes`, from the lowest to the highest.

        Raises:
            PlanError: the labels cannot be read that way.
        """
        if task in ("auto", self.kind):
            return self
        if self.kind == "binary" and task == "multiclass":
            return replace(self, kind="multiclass")
        if self.kind in ("binary", "multiclass") and task == "ordinal":
            return replace(self, kind="ordinal")
        if self.kind == "multiclass" and task == "binary" and len(self.classes) == 2:
            return replace(self, kind="binary")
        has = f"{self.name} has {len(self.classes)} classes and {self.kind} labels"
        raise PlanError(f"task {task} does not fit the data: {has}; leave task out or say {self.kind}")

    def only(self, split: str) -> Dataset:
        """The examples of one split."""
        return replace(self, examples=[e for e in self.examples if e.split == split])
