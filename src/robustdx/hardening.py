"""What a training leaves beside its weights: how it was made, a quick audit on validation images, a picture, and two cards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from robustdx import api
from robustdx.auditing import prepare
from robustdx.auditing.before import LEFT_OUT, beside, first_of
from robustdx.auditing.plan import AuditPlan
from robustdx.auditing.presets import PRESETS
from robustdx.auditing.run import Audit, Progress
from robustdx.catalogue import build, dump
from robustdx.models import ModelSpec, load
from robustdx.report.before import BEFORE
from robustdx.report.hardening.cards import model_card, write_cards
from robustdx.report.hardening.hardened import AUDIT, CARD, is_hardened, read
from robustdx.store import Store
from robustdx.training.facts import facts, plan_words
from robustdx.training.loaded import Training

PASSES = sum(part.passes for part in PRESETS["quick"].parts)
"""Forward and backward passes of the quick audit for each image that stands through it."""
IMAGES = 200
"""Validation images in the quick audit, drawn by patient: about this many at most."""
HEAD = """\
# The plan that made this model: robustdx harden plan.toml --out NEW
# Paths in it are relative to the folder in which the command is given.
"""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What follows a training; the weights do not depend on it, so it is no part of the plan."""

    audit: bool = True
    """Whether the network is audited at the end, on validation images."""
    compare: Mapping[str, Any] | None = None
    """A network to compare with, as the table of a model; left out, the one that training started from."""
    trust_code: bool = False

    def require(self, training: Training) -> None:
        """Refuse, before hours go by, a network to compare with that cannot be loaded or does not fit the data."""
        if self._rival is not None:
            load(self._rival, training.train.kind, training.train.classes, trust_code=self.trust_code)

    def begin(self, training: Training, out: Path, command: str) -> None:
        """Say how a run is made, in run.json; one that goes on keeps what it said, unless it is to be compared with another network."""
        store = Store(out)
        if not (out / "run.json").is_file() or store.read_json("run.json").get("compare") != self.compare:
            store.write_json("run.json", facts(training, command, self.compare))

    def done(self, training: Training, out: Path) -> bool:
        """Whether a run folder holds everything, as it would be written now."""
        if not (Store(out).whole and is_hardened(out) and (out / CARD).is_file()):
            return False
        audited = self._audited(out) or not self._audits(training)
        return audited and (out / CARD).read_text(encoding="utf-8") == model_card(read(out))

    def finish(self, training: Training, out: Path, command: str, progress: Progress) -> dict[str, Any] | None:
        """Write what is missing, the model card last; the results of the audit, where one was made now."""
        Store(out).write_text("plan.toml", HEAD + tomli_w.dumps(plan_words(training)))
        results = None
        if self._audits(training) and not self._audited(out):
            results = self._audit(training, out, command, progress)
        write_cards(out)
        return results

    def told(self, training: Training) -> str:
        """What will follow, for a look ahead."""
        if not self._audits(training):
            return "No audit at the end"
        images = min(IMAGES, len(training.val))
        twice = ", and of the network before" if self.compare or training.plan.start else ""
        return f"At the end a quick audit on {images} validation images (at most {PASSES} passes each){twice}"

    def _audited(self, out: Path) -> bool:
        """Whether the audit is whole, and compares with what is asked for now; it stays so where the folder is moved to."""
        if not (out / AUDIT / "manifest.json").is_file():
            return False
        beside = Store(out / AUDIT / BEFORE)
        return self._rival is None or (beside.whole and beside.read_json("plan.json")["model"] == json.loads(json.dumps(dump(self._rival))))

    @property
    def _rival(self) -> ModelSpec | None:
        return None if self.compare is None else build(ModelSpec, self.compare, where="compare")

    def passes(self, training: Training) -> int:
        """What follows a training, at most: passes forward and back, of all images together."""
        networks = 2 if self.compare or training.plan.start else 1
        return networks * (PASSES + 1) * min(IMAGES, len(training.val)) if self._audits(training) else 0

    def _audits(self, training: Training) -> bool:
        return self.audit and training.plan.eps > 0  # at eps 0 every attack gives the image back

    def _audit(self, training: Training, out: Path, command: str, progress: Progress) -> dict[str, Any]:
        """FGSM and PGD at the eps of the plan, on validation images: the training, and all that belongs to it, never opens test."""
        device = str(training.device)
        ready = prepare.prepare(quick(training, out), trust_code=self.trust_code, device=device)
        before, about = self._before(ready, out)
        return api.run(ready, out / AUDIT, command=command, progress=progress, before=before, about=about)

    def _before(self, ready: Audit, out: Path) -> tuple[Audit | None, str]:
        first = first_of(str(out))
        return beside(ready, first, trust_code=self.trust_code) if first else (None, LEFT_OUT)


def quick(training: Training, out: Path) -> AuditPlan:
    """The audit at the end of a training: a first look, which the escalation would make many times longer."""
    plan = training.plan
    return AuditPlan(
        model=ModelSpec(source=str(out)),
        data=plan.data,
        task=plan.task,
        split="val",
        preset="quick",
        threat=plan.threat,
        eps=(plan.eps,),
        escalation=False,
        images=IMAGES,
        seed=plan.seed,
    )
