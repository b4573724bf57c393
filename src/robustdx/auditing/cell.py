"""One batch of one cell: attack it, judge it in float32, and write down what happened to each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustdx.attacks import Attack, is_minimal
from robustdx.auditing.members import told
from robustdx.auditing.saving import as_saved
from robustdx.draws import Draws
from robustdx.errors import ModelError
from robustdx.models.crafting import Subject
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.tasks import Aimed, Task
from robustdx.tensors import Images, Labels, Outputs
from robustdx.threats import Masked, Threat

Row = dict[str, Any]
"""One image's record: the columns of `records.SCHEMA`."""
Verdict = tuple[list[float], list[int], bool | None]
"""Probabilities, decision, and whether the goal is reached: None where there is none, or where it cannot be asked of the image."""


@dataclass(frozen=True)
class Batch:
    """Images of the data set with their labels, ids and patients."""

    x: Images
    y: Labels
    ids: tuple[str, ...]
    patients: tuple[str | None, ...]
    region: Tensor | None = None
    """(B, 1, H, W): the pixels that may be changed; None: all of them."""

    def facing(self, threat: Threat) -> Threat:
        """The threat to these images."""
        return threat if self.region is None else Masked(threat, self.region)

    def draws(self, seed: int) -> Draws:
        return Draws(seed, self.ids)

    def only(self, at: Tensor) -> Batch:
        """The images at these places."""
        where, places = at.to(self.x.device), at.tolist()
        region = None if self.region is None else self.region[where]
        ids, patients = tuple(self.ids[i] for i in places), tuple(self.patients[i] for i in places)
        return Batch(self.x[where], self.y[where], ids, patients, region)


@dataclass(frozen=True)
class Judge:
    """Who says what an attacked image is: the model that is audited, in float32."""

    model: DiagnosticModel
    submissions: int = 1
    """How often each image is handed in. A model that draws anew each time may give way at any of them: the worst answer counts."""

    @torch.no_grad()
    def __call__(self, x: Images, y: Labels, draws: Draws) -> Outputs:
        worst = self.model.exact(x, draws.fork("verdict"))
        for n in range(1, self.submissions):
            again = self.model.exact(x, draws.fork("verdict", n))
            (errors, loss), (before, least) = ((self.model.task.errors(o, y), self.model.task.loss(o, y)) for o in (again, worst))
            worse = (errors > before) | ((errors == before) & (loss > least))
            worst = torch.where(worse.view(-1, *[1] * (worst.dim() - 1)), again, worst)
        return worst


def clean_rows(model: DiagnosticModel, batch: Batch, seed: int) -> list[Row]:
    """The records of a batch as it came. Cost per image: one forward pass."""
    draws = batch.draws(seed)
    with torch.no_grad():
        outputs = model.exact(batch.x, draws.fork("verdict"))
    verdict = _read(model.task, outputs, aimed_by(model.task, batch.y, model.task.decide(outputs)), draws)
    rows: list[Row] = [{"id": i, "patient": p, "label": _list(y)} for i, p, y in zip(batch.ids, batch.patients, batch.y.cpu(), strict=True)]
    for row, (scores, decision, goal) in zip(rows, verdict, strict=True):
        for form in ("clean", "searched", "saved"):
            row |= {f"{form}_scores": scores, f"{form}_decision": decision, f"{form}_goal": goal}
        row |= {"searched_distance": 0.0, "saved_distance": 0.0, "forwards": 1, "backwards": 0}
    return rows


def attacked_rows(
    subject: Subject,
    batch: Batch,
    clean: Sequence[Row],
    attack: Attack,
    threat: Threat,
    name: str,
    seed: int,
    judge: Judge | None = None,
) -> tuple[list[Row], Images]:
    """The records of a batch under attack, and its images as they could be saved.

    `judge` is the model that is audited; left out, the one that the images are crafted on, asked once.

    With early stop, an image on which every decision is wrong already is left as it is: it counts as an error anyway. Under a goal,
    it is one that has reached it already, and any of which it cannot be asked.
    Cost per image: the attack's, and a forward pass to judge it as saved, another where it was found as something else (not
    counted as the attack's).
    """
    threat = batch.facing(threat)
    draws, subject.room = batch.draws(seed), max(subject.room, len(batch.x))
    stop = bool(getattr(attack, "early_stop", False))
    y = aimed_at(subject.task, batch.y, clean)
    worth = worth_attacking(subject.task, y, clean, stop=stop)
    x_adv, members = batch.x.clone(), dict[str, str]()
    if bool(worth.any()):
        at, some = worth.to(batch.x.device), draws.fork("attack", name).take(worth)
        x_adv[at], members = told(attack, subject, batch.x[at], y[at], threat.take(at), some)
    saved = threat.snap(x_adv, batch.x)
    if bool(worth.any()):
        minimal = any(is_minimal(member) for member in getattr(attack, "members", (attack,)))
        saved[at] = as_saved(subject, x_adv[at], batch.x[at], y[at], threat.take(at), some, minimal=minimal)
    rows = [dict(row) for row in clean]
    verdicts = _verdicts(judge or Judge(subject.model), x_adv, saved, y, draws)
    for form, x, verdict in zip(("searched", "saved"), (x_adv, saved), verdicts, strict=True):
        distances = threat.distance(x, batch.x).tolist()
        for row, (scores, decision, goal), distance in zip(rows, verdict, distances, strict=True):
            row |= {f"{form}_scores": scores, f"{form}_decision": decision, f"{form}_goal": goal, f"{form}_distance": distance}
    form = "saved" if threat.savable else "searched"
    for row in rows:
        row |= {"forwards": subject.forwards[row["id"]], "backwards": subject.backwards[row["id"]]}
        row["member"] = members.get(row["id"]) if is_turned(row, form) else None
    return rows, saved


def handed_in(saved: Images, batch: Batch, rows: Sequence[Row], judge: Judge, seed: int) -> list[Row]:
    """The records of images that are handed in anew, as they are. Cost per image: a forward pass for each submission."""
    y, draws = aimed_at(judge.model.task, batch.y, rows), batch.draws(seed)
    verdicts = _read(judge.model.task, judge(saved, y, draws), y, draws)
    made = [dict(row) for row in rows]
    for row, (scores, decision, goal) in zip(made, verdicts, strict=True):
        row |= {"saved_scores": scores, "saved_decision": decision, "saved_goal": goal, "forwards": judge.submissions, "backwards": 0}
    return made


def aimed_at(task: Task, y: Labels, clean: Sequence[Row]) -> Labels:
    """The labels that an attack is handed: the true ones, or those that a goal makes of them and of the clean decisions."""
    decided = torch.tensor([row["clean_decision"] for row in clean], dtype=y.dtype, device=y.device)
    return aimed_by(task, y, decided.view_as(y))


def aimed_by(task: Task, y: Labels, decided: Labels) -> Labels:
    """The labels to aim by, from the true ones and the decisions on the images as they came."""
    return task.labels(y, decided.to(y)) if isinstance(task, Aimed) else y


def worth_attacking(task: Task, y: Labels, clean: Sequence[Row], *, stop: bool) -> Tensor:
    """Which images there is anything to attack on, (B,)."""
    if isinstance(task, Aimed):
        reached = torch.tensor([bool(row["clean_goal"]) for row in clean])
        return task.asked(y).cpu() & ~(reached & stop)
    return torch.tensor([not (stop and _all_wrong(row)) for row in clean])


def is_broken(row: Mapping[str, Any]) -> bool:
    """Whether the attack did on the saved image what it was after, and the clean one did not show already."""
    if row["saved_goal"] is not None:
        return bool(row["saved_goal"] and not row["clean_goal"])
    return is_right(row, "clean") and not is_right(row, "saved")


def is_turned(row: Mapping[str, Any], form: str) -> bool:
    """Whether the attack reached its goal on the image, or turned at least one decision on it that was right."""
    if row[f"{form}_goal"] is not None:
        return bool(row[f"{form}_goal"] and not row["clean_goal"])
    return any(now and not before for now, before in zip(_wrong(row, form), _wrong(row, "clean"), strict=True))


def is_right(row: Mapping[str, Any], form: str) -> bool:
    """Whether every annotated decision on an image is right."""
    return not any(wrong for wrong in _wrong(row, form))


def _all_wrong(row: Mapping[str, Any]) -> bool:
    wrong = _wrong(row, "clean")
    return bool(wrong) and all(wrong)


def _wrong(row: Mapping[str, Any], form: str) -> list[bool]:
    return [d != y for d, y in zip(row[f"{form}_decision"], row["label"], strict=True) if y == y]


def _verdicts(judge: Judge, x_adv: Images, saved: Images, y: Labels, draws: Draws) -> tuple[list[Verdict], list[Verdict]]:
    """What the model says of the images as found and as saved; where the two are one image, it is asked once."""
    of_saved = _read(judge.model.task, judge(saved, y, draws), y, draws)
    of_found, differ = list(of_saved), (x_adv != saved).flatten(1).any(1).cpu()
    if bool(differ.any()):
        at, some = differ.to(x_adv.device), draws.take(differ)
        asked = _read(judge.model.task, judge(x_adv[at], y[at], some), y[at], some)
        for i, verdict in zip(differ.nonzero().flatten().tolist(), asked, strict=True):
            of_found[i] = verdict
    return of_found, of_saved


def _read(task: Task, outputs: Outputs, y: Labels, draws: Draws) -> list[Verdict]:
    """Probabilities, decision and whether the goal is reached of each image."""
    require_numbers(outputs, draws)
    scores, decisions = task.probabilities(outputs).cpu(), task.decide(outputs).cpu()
    return [(_list(s), [int(v) for v in _list(d)], goal) for s, d, goal in zip(scores, decisions, _reached(task, outputs, y), strict=True)]


def _reached(task: Task, outputs: Outputs, y: Labels) -> list[bool | None]:
    if not isinstance(task, Aimed):
        return [None] * len(y)
    return [reached if asked else None for reached, asked in zip(task.fooled(outputs, y).tolist(), task.asked(y).tolist(), strict=True)]


def require_numbers(outputs: Outputs, draws: Draws) -> None:
    """Refuse an answer that is none: it can be neither right nor wrong."""
    finite = outputs.isfinite().all(1).tolist()
    if not all(finite):
        image = draws.ids[finite.index(False)]
        raise ModelError(
            f"expected finite outputs, the network answers NaN or infinity on the image {image}: check its weights and its range"
        )


def _list(values: Tensor) -> list[float]:
    return values.reshape(-1).tolist()
