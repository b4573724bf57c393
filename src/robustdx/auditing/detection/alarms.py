"""Detectors put to the test: clean images, attacked ones, and attacks by an adversary who knows the detector.

An alarm threshold is fixed on clean validation images; then, for every attack and budget,

    unaware    the attack on the network alone, driven to its end
    aware      the same attack on `Watched(network, detector)`, in several ways one after another, each on what still stands

Success is a wrong decision without an alarm, on the image as saved. Detectors that learn see clean training images, once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import torch

from robustdx.auditing import prepare
from robustdx.auditing.detection.noticing import KNOWS, SCHEMA, Knowing, Scores, clean_rows, crafted_rows, knowing
from robustdx.auditing.plan import AuditPlan, clean_cell
from robustdx.auditing.run import Audit, Progress
from robustdx.catalogue import key
from robustdx.data import Dataset, load_dataset
from robustdx.data.split import subset, with_splits
from robustdx.detectors import DETECTORS, Detector
from robustdx.draws import Draws
from robustdx.errors import DataError, PlanError
from robustdx.metrics.alarm import alarm_threshold
from robustdx.models import load
from robustdx.models.crafting import still
from robustdx.models.features import features
from robustdx.records import Cell, table
from robustdx.store import Store

FEWEST = 200
"""Validation images that fix the threshold, where there are so many, however few images are judged: a quick look at those says little."""
LEARN = 2000
"""Clean training images that a detector learns from, at most."""


@dataclass(frozen=True)
class Alarms:
    """Everything that the test of detectors needs, loaded and checked; nothing has run yet."""

    audit: Audit
    detectors: Mapping[str, Mapping[str, Any]]
    """Their words, by label."""
    train: Dataset
    """The clean images that detectors learn from."""

    def words(self) -> dict[str, Any]:
        """What a run folder belongs to."""
        learned_from = key([(e.id, str(e.label)) for e in self.train.examples])
        detectors = [{"label": label, **DETECTORS.dump(DETECTORS.parse(words))} for label, words in self.detectors.items()]
        return {**prepare.words(self.audit), "made": "alarms", "detectors": detectors, "learned_from": learned_from}

    def cells(self) -> list[Cell]:
        """Validation images, clean images, and each attack unaware and aware of each detector."""
        return [clean_cell("val"), clean_cell(self.audit.split), *(cell for cell, _ in self._attacks())]

    def run(self, store: Store, progress: Progress) -> None:
        """Fit what has to learn, and make every cell that is not whole yet."""
        judge, exact, fast = self.audit.networks()
        with still(judge), still(exact), still(fast):
            scores = Scores(judge, self._fitted(store, progress), self.audit.plan.seed)
            known: dict[str, Knowing] = {}
            for cell in (clean_cell("val"), clean_cell(self.audit.split)):
                self._make(store, cell, progress, lambda batch, _: clean_rows(scores, batch))
            for n, (label, detector) in enumerate(scores.detectors.items()):
                clean = [row["scores"][n] for row in store.records(clean_cell("val")).to_pylist()]
                known[label] = Knowing.of(detector, alarm_threshold(clean), clean)
            before = {row["id"]: row for row in store.records(clean_cell(self.audit.split)).to_pylist()}
            for cell, (attack, threat, knows) in self._attacks():
                craft = crafted_rows(scores, exact, fast, attack, threat, cell.attack, known.get(knows or ""), before)
                self._make(store, cell, progress, craft)

    def _attacks(self) -> list[tuple[Cell, tuple[Any, Any, str | None]]]:
        """The cells of attacks, with the attack, the threat, and the label of the detector that it knows."""
        plan, split = self.audit.plan, self.audit.split
        found: list[tuple[Cell, tuple[Any, Any, str | None]]] = []
        for (driven, attack, threat), (cell, early, _) in zip(plan.driven().cells(split), plan.cells(split), strict=True):
            found.append((driven, (attack, threat, None)))
            found += [(_knowing(cell, label), (early, threat, label)) for label in self.detectors]
        return found

    def _fitted(self, store: Store, progress: Progress) -> dict[str, Detector]:
        """The detectors by label; one that learns writes what it has learned into the run, and is read from there the next time."""
        found = {}
        for label, words in self.detectors.items():
            detector = DETECTORS.parse(words)
            if hasattr(detector, "fit") and detector.weights is None:
                path = store.path / "detectors" / f"{quote(label, safe=' ')}.safetensors"
                if path.exists():
                    detector = DETECTORS.parse({**words, "weights": str(path)})
                else:
                    draws = Draws(self.audit.plan.seed, ()).fork("fit", label)
                    detector = detector.fit(self.audit.model.to(self.audit.device), self.train, draws, out=path, progress=progress)
            found[label] = detector
        return found

    def _make(self, store: Store, cell: Cell, progress: Progress, rows_of: Any) -> None:
        """One cell, batch by batch, from the first batch that is not kept yet."""
        if store.has(cell):
            return
        dataset, step = self.audit.shown(cell), self.audit.step
        starts = range(0, len(dataset), step)
        for n in range(store.parts(cell), len(starts)):
            began, indices = time.monotonic(), range(starts[n], min(starts[n] + step, len(dataset)))
            rows = rows_of(self.audit.batch(dataset, indices, attacked=cell.threat != ""), n)
            store.add_part(cell, n, table(rows, SCHEMA), time.monotonic() - began)
            progress(f"{cell.attack} {cell.split}", indices[-1] + 1, len(dataset))
        store.finish(cell, len(starts))


def _knowing(cell: Cell, detector: str) -> Cell:
    """The cell of the same attack, made by who knows a detector."""
    return replace(cell, attack=cell.attack + knowing(detector), settings={**cell.settings, KNOWS: detector})


def prepare_alarms(
    plan: AuditPlan, detectors: Sequence[Mapping[str, Any]], *, learn: int = LEARN, trust_code: bool = False, device: str = "cpu"
) -> Alarms:
    """Load what a test of detectors names.

    Raises:
        PlanError, DataError, ModelError: what does not exist or does not fit.
    """
    whole = with_splits(load_dataset(plan.data).as_task(plan.task))
    return assemble_alarms(plan, detectors, load(plan.model, whole.kind, whole.classes, trust_code=trust_code), whole, learn, device)


def assemble_alarms(
    plan: AuditPlan, detectors: Sequence[Mapping[str, Any]], model: Any, whole: Dataset, learn: int = LEARN, device: str = "cpu"
) -> Alarms:
    """The same of a model and data that are loaded already.

    Raises:
        DataError: no validation images, or no training images.
        PlanError: budgets that do not survive being saved, settings that mean nothing here, or two detectors of one name.
    """
    whole = with_splits(whole)
    for split, purpose in (("val", "the alarm threshold is fixed on clean validation images"), ("train", "detectors learn clean images")):
        if split not in whole.splits:
            raise DataError(
                f"{whole.name}: {purpose}, got no split named {split}: give data that have one, or none at all (then it is dealt)"
            )
    if plan.split in ("val", "train", "all"):
        raise PlanError(f"detectors are judged on images that they and their thresholds have not seen, got split {plan.split}: take test")
    if plan.goal is not None or plan.surrogates:
        raise PlanError("a goal or surrogates have no place in a test of detectors: leave them out")
    unsaved = [t.eps for t in plan.threats() if not t.savable]
    if unsaved:
        raise PlanError(
            f"expected eps of at least one step of the grid (1/255), got {unsaved[0]:.4g}: nothing smaller survives being saved"
        )
    _require_names(plan, labelled := _labelled(detectors))
    audit = prepare.assemble(plan, model, whole, device)
    enough = None if plan.images is None else max(plan.images, FEWEST)
    val = whole.only("val")
    audit = replace(audit, data={**audit.data, "val": val if enough is None else subset(val, enough, plan.seed)})
    for words in labelled.values():
        _try(DETECTORS.parse(words), audit)
    return Alarms(audit, labelled, subset(whole.only("train"), learn, plan.seed))


@torch.no_grad()
def _try(detector: Detector, audit: Audit) -> None:
    """Show a detector a grey image, so that what does not fit the network (its layers, its size) is refused before a folder is made."""
    model, draws = audit.model, Draws(0, ("trial",))
    x = torch.full((1, model.channels, *(model.size or (64, 64))), 0.5, device=model.mean.device)
    with still(model):
        if not hasattr(detector, "fit") or getattr(detector, "weights", None) is not None:
            detector(model, x, draws)
        elif hasattr(detector, "layers"):
            features(model, x, draws, detector.layers)


def _require_names(plan: AuditPlan, detectors: Mapping[str, Any]) -> None:
    """Refuse an attack that is called as another one that knows a detector."""
    attacks = [label for label, _ in plan.methods()]
    twice = set(attacks) & {attack + knowing(detector) for attack in attacks for detector in detectors}
    if twice:
        raise PlanError(f"an attack may not be called {min(twice)!r}, which is what the report calls another: give it another label")


def _labelled(detectors: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Detectors by the label that tells two of a kind apart; all that there are where none is named."""
    found: dict[str, Mapping[str, Any]] = {}
    for given in detectors or [{"name": name} for name in DETECTORS.own]:
        words = dict(given)
        label = str(words.pop("label", words.get("name")))
        if label in found:
            raise PlanError(f'two detectors are called {label}: give one of them another label, label = "..."')
        DETECTORS.parse(words)
        found[label] = words
    return found
