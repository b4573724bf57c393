"""Sequences whose frames a frozen set holds: the audit reads them instead of making them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import torch

from robustdx.auditing.natural.clips import Clip
from robustdx.data.protocol import Clips, Dataset
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.perturbations import SEQUENCES
from robustdx.tensors import Images


def recorded(dataset: Dataset) -> list[Clip]:
    """The sequences that a frozen set holds; none where the data are no such set."""
    held = dataset.clips
    if held is None:
        return []
    methods = [(name, Recorded(held, name)) for name in held.sequences]
    return [Clip(name, method, held.count, None, method.settings) for name, method in methods]  # type: ignore[arg-type]


@final
@dataclass(frozen=True)
class Recorded:
    """A sequence from the files of a frozen set, each verified as it is read. Frames are found by the ids of the images that draw."""

    clips: Clips
    """The frames."""
    name: str
    """Which sequence."""

    @property
    def compared(self) -> Literal["previous", "first"]:
        """As the sequence that was frozen."""
        return "first" if self.clips.sequences[self.name]["compared"] == "first" else "previous"

    @property
    def random(self) -> bool:
        """Nothing is drawn any more."""
        return False

    @property
    def settings(self) -> dict[str, Any]:
        """What was frozen, and the digest of the set that holds it."""
        told = self.clips.sequences[self.name]
        video = {"video": True} if told.get("filmed") else {}
        return {**told["settings"], **video, "frozen": self.clips.digest}

    @property
    def original(self) -> type:
        """The sequence that was frozen, where this robustdx knows it: what it says of itself."""
        return SEQUENCES.methods.get(str(self.settings["name"]), Recorded)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        """The frames of the images of `draws`, at the size of `x`.

        Raises:
            PlanError: another number of frames than the set holds.
            ImageError: a file that is not what was frozen.
        """
        if count != self.clips.count:
            raise PlanError(f"the frozen set holds {self.clips.count} frames of {self.name}, {count} were asked for")
        height, width = x.shape[2:]
        held = np.stack([self.clips.read(i, self.name, (height, width), x.shape[1]) for i in draws.ids])
        for n in range(count):
            yield torch.from_numpy(held[:, n]).permute(0, 3, 1, 2).to(x) / 255
