"""The steps of an escalation on one batch: each on the images that the ones before left standing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from robustdx.auditing.cell import Batch, Judge, Row, aimed_at, attacked_rows, handed_in, worth_attacking
from robustdx.auditing.escalation.steps import Step
from robustdx.models import DiagnosticModel
from robustdx.models.crafting import Subject
from robustdx.records import Cell
from robustdx.tensors import Images
from robustdx.threats import Threat

PLAIN = "attacks of the plan"
"""What the record calls the rung below all steps."""


@dataclass(frozen=True)
class Escalation:
    """What is done to every batch at one budget."""

    judge: DiagnosticModel
    """The model that is audited."""
    steps: Sequence[Step]
    threat: Threat
    cell: Cell
    seed: int
    clean: Mapping[str, Row]
    before: Sequence[Mapping[str, Row]]
    """Records of the plan's attacks at this budget, by id; one that was shown drawn images only has only those."""
    kept: dict[str, Images] | None = None
    """Where it is given: by id, the saved image of each that a step made worse, (C, H, W)."""

    def __call__(self, batch: Batch, n: int) -> list[Row]:
        """A row per image: the worst that anything did to it, with the step that did it."""
        clean = [self.clean[i] for i in batch.ids]
        rows = [self._claimed(row) for row in clean]
        found: list[Images] = []
        for step in self.steps:
            at = self._standing(batch, clean, rows).nonzero()[:, 0]
            if not len(at):
                break
            self._take(step, _Part.of(batch, clean, at), rows, found, len(batch.ids))
        return rows

    def _claimed(self, clean: Row) -> Row:
        """The image as the plan's attacks left it: its worst record, and no passes of its own."""
        found = [own[clean["id"]] for own in self.before if clean["id"] in own]
        worst = max(found, key=badness, default=clean)
        return {**worst, "forwards": 0, "backwards": 0, "member": PLAIN if badness(worst) > badness(clean) else None}

    def _standing(self, batch: Batch, clean: Sequence[Row], rows: Sequence[Row]) -> Tensor:
        y = aimed_at(self.judge.task, batch.y, clean)
        return worth_attacking(self.judge.task, y, clean, stop=True) & torch.tensor([badness(row) < 1 for row in rows])

    def _take(self, step: Step, part: _Part, rows: list[Row], found: list[Images], room: int) -> None:
        """One step on a part of the batch; what it made worse replaces what was there."""
        if step.view is None or step.attack is None:
            for images in found:
                self._hand_in(step, part, rows, images)
            return
        subject = Subject(step.view.model)
        subject.room = room
        made, images = attacked_rows(
            subject, part.batch, part.clean, step.attack, self.threat, f"escalation: {step.name}", self.seed, Judge(self.judge)
        )
        found.append(_scattered(images, part.at, room))
        self._keep(step, part.at, made, images, rows)

    def _hand_in(self, step: Step, part: _Part, rows: list[Row], images: Images) -> None:
        """What the step makes of images that were found, each as long as it stands."""
        judge, batch, threat = Judge(self.judge, step.submissions), part.batch, part.batch.facing(self.threat)
        stands = torch.ones(len(part.at), dtype=torch.bool)
        for shown in step.variants(images[part.at], batch.x, threat, batch.draws(self.seed)):
            stands &= torch.tensor([badness(rows[i]) < 1 for i in part.at.tolist()])
            if not bool(stands.any()):
                break
            at, some, saved = part.at[stands], batch.only(stands.nonzero()[:, 0]), shown[stands]
            far = threat.take(stands).distance(saved, some.x).tolist()
            made = handed_in(saved, some, [rows[i] for i in at.tolist()], judge, self.seed)
            self._keep(step, at, [row | {"saved_distance": d} for row, d in zip(made, far, strict=True)], saved, rows)

    def _keep(self, step: Step, at: Tensor, made: Sequence[Row], images: Images, rows: list[Row]) -> None:
        """What became worse takes the place of what was there; what it took is added."""
        for i, row, image in zip(at.tolist(), made, images, strict=True):
            spent = {key: rows[i][key] + row[key] for key in ("forwards", "backwards")}
            if badness(row) > badness(rows[i]):
                rows[i] = {**row, "member": step.name}
                if self.kept is not None:
                    self.kept[row["id"]] = image
            rows[i] = {**rows[i], **spent}


@dataclass(frozen=True)
class _Part:
    """Some of the images of a batch."""

    batch: Batch
    clean: Sequence[Row]
    at: Tensor

    @classmethod
    def of(cls, batch: Batch, clean: Sequence[Row], at: Tensor) -> _Part:
        part, places = batch.only(at), at.tolist()
        return cls(part, [clean[i] for i in places], at)


def _scattered(images: Images, at: Tensor, room: int) -> Images:
    """Images of a part at their places in the whole batch."""
    whole = images.new_zeros(room, *images.shape[1:])
    whole[at.to(images.device)] = images
    return whole


def badness(row: Mapping[str, object]) -> float:
    """How much of an image is wrong as saved, in [0, 1]; 1 where a goal is reached."""
    if row["saved_goal"] is not None:
        return float(bool(row["saved_goal"]))
    decided = list(zip(row["saved_decision"], row["label"], strict=True))  # type: ignore[call-overload]
    asked = [d != y for d, y in decided if y == y]
    return sum(asked) / max(1, len(asked))
