"""The auditor examined: every planted defence audited, and what it found held against what is known."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from robustdx.attacks import PGD
from robustdx.auditing.cell import Batch
from robustdx.auditing.escalation.examine import examine
from robustdx.auditing.escalation.steps import SUBMISSIONS
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import Defended, DiagnosticModel, still
from robustdx.models.guarded import Guarded
from robustdx.selftest.fakes import FAKES
from robustdx.selftest.honest import HONEST
from robustdx.selftest.planted import VICTIMS, Planted
from robustdx.selftest.victims import EPS, photos
from robustdx.threats import Linf

KNOWN = Path(__file__).parent / "known.json"
"""What a dedicated attack with full knowledge leaves of each; made by `python -m tests.selftest.measure`."""
TRIES = 10 * SUBMISSIONS
"""How often a saved image is handed in to be confirmed where answers are drawn: about as often as the auditor itself did, ten times
each image that its steps had found."""
WITHIN = 0.01
"""How far above the dedicated attack the auditor may end."""
ALL = {**FAKES, **HONEST}


@dataclass(frozen=True)
class Grade:
    """What the auditor made of one planted defence."""

    name: str
    honest: bool
    images: int
    claimed: float
    """Accuracy under PGD of 20 steps, believed as it is."""
    left: float
    """Accuracy after the escalation."""
    known: float
    """Accuracy under the dedicated attack."""
    verdict: str
    seen: tuple[str, ...]
    """The flags that were raised."""
    unconfirmed: tuple[str, ...]
    """Images that the auditor broke, the dedicated attack did not, and another process does not find broken."""

    @property
    def broken(self) -> bool:
        """Within a point of what is known, or below."""
        return self.left <= self.known + WITHIN

    @property
    def passed(self) -> bool:
        """A fake is broken or doubted; an honest one is not refused. Neither counts an image that cannot be shown."""
        right = self.verdict == "established" if self.honest else self.broken or self.verdict == "not established"
        return right and not self.unconfirmed


def names(only: Sequence[str] = ()) -> list[str]:
    """The planted defences, or those that are asked for.

    Raises:
        PlanError: no such defence.
    """
    for name in only:
        if name not in ALL:
            raise PlanError(f"there is no planted defence named {name!r}: take of {', '.join(ALL)}")
    return list(only or ALL)


def examination(only: Sequence[str] = (), *, images: int = 64, processes: int = 2) -> Iterator[Grade]:
    """One grade after another, in the order of their names' list; so many defences at a time."""
    known = json.loads(KNOWN.read_text(encoding="utf-8"))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting = [(name, pool.submit(audited, name, images)) for name in names(only)]
        for name, future in waiting:
            verdict, claimed, left, shown = future.result()
            further = [broken for broken in shown if broken[0] in _standing(name, known, images)]
            yield grade(name, known, images, claimed, left, verdict, pool.submit(_confirmed, name, further) if further else None)


def grade(
    name: str, known: Mapping[str, Any], images: int, claimed: float, left: float, judgement: Mapping[str, Any], confirmed: Any
) -> Grade:
    """Beside what is known of the same images; `confirmed` waits for the other process."""
    standing = _standing(name, known, images)
    found = dict(confirmed.result()) if confirmed is not None else {}
    unconfirmed = tuple(i for i in standing if found.get(i) is False)
    flags = tuple(flag["name"] for flag in judgement["flags"])
    return Grade(name, name in HONEST, images, claimed, left, len(standing) / images, judgement["verdict"], flags, unconfirmed)


def _standing(name: str, known: Mapping[str, Any], images: int) -> list[str]:
    """What the dedicated attack leaves of the first so many images."""
    broken = set(known["honest" if name in HONEST else "fakes"][name]["broken"])
    return [i for i in known["ids"][:images] if i not in broken]


def audited(name: str, images: int) -> tuple[dict[str, Any], float, float, list[tuple[str, Tensor, int]]]:
    """Judgement, accuracy as claimed and as left, and the saved images of all that were broken, with their labels."""
    shown, planted = photos(images), ALL[name]
    batch = Batch(shown.x, shown.y, shown.ids, (None,) * len(shown.ids))
    done = examine(through_the_door(planted), batch, PGD(steps=20), Linf(EPS))
    fell = [not right for right in _right(done.rows)]
    saved = [(i, x, int(y)) for i, x, y, broken in zip(shown.ids, done.images, shown.y, fell, strict=True) if broken]
    return done.judgement, _share(done.claimed), _share(done.rows), saved


def through_the_door(planted: Planted) -> DiagnosticModel:
    """The defended model as `audit --defence module:callable` makes it: what stands behind the defence is known."""
    made = planted()
    return made if isinstance(made, Defended) else Guarded(made, VICTIMS[planted.around]())


def _confirmed(name: str, shown: list[tuple[str, Tensor, int]]) -> list[tuple[str, bool]]:
    """In a process of its own and with a defence made anew: which saved images are answered wrongly at one of `TRIES` submissions."""
    planted: Planted = ALL[name]
    model = planted()
    with still(model), torch.no_grad():
        return [(i, _falls(model, x, y, i)) for i, x, y in shown]


def _falls(model: Any, x: Tensor, y: int, image: str) -> bool:
    draws = Draws(0, (image,)).fork("verdict")
    return any(int(model(x[None], draws.fork(n) if n else draws).argmax(1)) != y for n in range(TRIES))


def _share(rows: Sequence[Mapping[str, Any]]) -> float:
    right = _right(rows)
    return sum(right) / len(right)


def _right(rows: Sequence[Mapping[str, Any]]) -> list[bool]:
    return [row["saved_decision"] == [int(v) for v in row["label"]] for row in rows]
