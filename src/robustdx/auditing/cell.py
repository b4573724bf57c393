"""One batch of one cell: attack it, judge it in float32, and write down what happened to each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustdx.attacks import Attack
from robustdx.draws import Draws
from robustdx.errors import ModelError
from robustdx.models.crafting import Subject
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.tensors import Images, Labels, Outputs
from robustdx.threats import Threat

Row = dict[str, Any]
"""One image's record: the columns of `records.SCHEMA`."""
Verdict = tuple[list[float], list[int]]
"""Probabilities and decision."""


@dataclass(frozen=True)
class Batch:
    """Images of the data set with their labels, ids and patients."""

    x: Images
    y: Labels
    ids: tuple[str, ...]
    patients: tuple[str | None, ...]

    def draws(self, seed: int) -> Draws:
        return Draws(seed, self.ids)


def clean_rows(model: DiagnosticModel, batch: Batch, seed: int) -> list[Row]:
    """The records of a batch as it came. Cost per image: one forward pass."""
    verdict = _judge(model, batch.x, batch.draws(seed))
    rows: list[Row] = [{"id": i, "patient": p, "label": _list(y)} for i, p, y in zip(batch.ids, batch.patients, batch.y.cpu(), strict=True)]
    for row, (scores, decision) in zip(rows, verdict, strict=True):
        for form in ("clean", "searched", "saved"):
            row |= {f"{form}_scores": scores, f"{form}_decision": decision}
        row |= {"searched_distance": 0.0, "saved_distance": 0.0, "forwards": 1, "backwards": 0}
    return rows


def attacked_rows(
    subject: Subject, batch: Batch, clean: Sequence[Row], attack: Attack, threat: Threat, name: str, seed: int
) -> tuple[list[Row], Images]:
    """The records of a batch under attack, and its images as they could be saved.

    With early stop, an image on which every decision is wrong already is left as it is: it counts as an error anyway.
    Cost per image: the attack's, and a forward pass to judge it as saved, another where it was found as something else (not
    counted as the attack's).
    """
    draws = batch.draws(seed)
    stop = bool(getattr(attack, "early_stop", False))
    worth = torch.tensor([not (stop and _all_wrong(row)) for row in clean])
    x_adv = batch.x.clone()
    if bool(worth.any()):
        at = worth.to(batch.x.device)
        x_adv[at] = attack(subject, batch.x[at], batch.y[at], threat, draws.fork("attack", name).take(worth)).detach()
    saved = threat.snap(x_adv, batch.x)
    rows = [dict(row) for row in clean]
    verdicts = _verdicts(subject.model, x_adv, saved, draws)
    for form, x, verdict in zip(("searched", "saved"), (x_adv, saved), verdicts, strict=True):
        distances = threat.distance(x, batch.x).tolist()
        for row, (scores, decision), distance in zip(rows, verdict, distances, strict=True):
            row |= {f"{form}_scores": scores, f"{form}_decision": decision, f"{form}_distance": distance}
    for row in rows:
        row |= {"forwards": subject.forwards[row["id"]], "backwards": subject.backwards[row["id"]]}
    return rows, saved


def is_right(row: Mapping[str, Any], form: str) -> bool:
    """Whether every annotated decision on an image is right."""
    return not any(wrong for wrong in _wrong(row, form))


def _all_wrong(row: Mapping[str, Any]) -> bool:
    wrong = _wrong(row, "clean")
    return bool(wrong) and all(wrong)


def _wrong(row: Mapping[str, Any], form: str) -> list[bool]:
    return [d != y for d, y in zip(row[f"{form}_decision"], row["label"], strict=True) if y == y]


def _verdicts(model: DiagnosticModel, x_adv: Images, saved: Images, draws: Draws) -> tuple[list[Verdict], list[Verdict]]:
    """What the model says of the images as found and as saved; where the two are one image, it is asked once."""
    of_saved = _judge(model, saved, draws)
    of_found, differ = list(of_saved), (x_adv != saved).flatten(1).any(1).cpu()
    if bool(differ.any()):
        asked = _judge(model, x_adv[differ.to(x_adv.device)], draws.take(differ))
        for i, verdict in zip(differ.nonzero().flatten().tolist(), asked, strict=True):
            of_found[i] = verdict
    return of_found, of_saved


def _judge(model: DiagnosticModel, x: Images, draws: Draws) -> list[Verdict]:
    """Probabilities and decision of each image, in float32."""
    with torch.no_grad():
        outputs = model.exact(x, draws.fork("verdict"))
    _require_numbers(outputs, draws)
    scores, decisions = model.task.probabilities(outputs).cpu(), model.task.decide(outputs).cpu()
    return [(_list(s), [int(v) for v in _list(d)]) for s, d in zip(scores, decisions, strict=True)]


def _require_numbers(outputs: Outputs, draws: Draws) -> None:
    """Refuse an answer that is none: it can be neither right nor wrong."""
    finite = outputs.isfinite().all(1).tolist()
    if not all(finite):
        image = draws.ids[finite.index(False)]
        raise ModelError(
            f"expected finite outputs, the network answers NaN or infinity on the image {image}: check its weights and its range"
        )


def _list(values: Tensor) -> list[float]:
    return values.reshape(-1).tolist()
