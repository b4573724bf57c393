"""A cell of a sequence: what the model says of every frame, beside what it says of the image as it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import torch

from robustdx.auditing.cell import Batch, Row, require_numbers
from robustdx.auditing.natural.perturbed import on_grid
from robustdx.models import DiagnosticModel
from robustdx.perturbations import FrameSequence
from robustdx.records import FRAMES, Cell


@dataclass(frozen=True)
class Framed:
    """How the batches of one cell are made, a frame at a time. Cost per image: the frames, and a forward pass for each."""

    cell: Cell
    method: FrameSequence
    model: DiagnosticModel
    """The model that is audited."""
    clean: Mapping[str, Row]
    """Records of the images as they came, by id."""
    seed: int
    schema: ClassVar[pa.Schema] = FRAMES
    threat: ClassVar[None] = None

    @torch.no_grad()
    def __call__(self, batch: Batch, n: int) -> list[Row]:
        """A row per image."""
        draws, task, count = batch.draws(self.seed), self.model.task, self.cell.frames
        assert count is not None
        scores, decisions = [], []
        for i, frame in enumerate(self.method.frames(batch.x, count, draws.fork("sequence", self.cell.settings["name"]))):
            # Each frame by its own draws: a model that draws anew for every image it is shown does so here too.
            outputs = self.model.exact(on_grid(frame), draws.fork("frame", i))
            require_numbers(outputs, draws)
            scores.append(task.probabilities(outputs).cpu().reshape(len(batch.ids), -1))
            decisions.append(task.decide(outputs).cpu().reshape(len(batch.ids), -1))
        frames = zip(torch.stack(scores, 1).tolist(), torch.stack(decisions, 1).tolist(), strict=True)
        kept = ("id", "patient", "label", "clean_scores", "clean_decision")
        return [
            {**{name: self.clean[i][name] for name in kept}, "frame_scores": s, "frame_decisions": d, "forwards": count, "backwards": 0}
            for i, (s, d) in zip(batch.ids, frames, strict=True)
        ]
