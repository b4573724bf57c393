"""What a run found: the picks out of results.json that sentences, figures and tables are made from. No torch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from robustdx.errors import RunError
from robustdx.records import ESCALATION, Cell
from robustdx.store import Store

UNSEEN = 2 / 255
"""The largest change of every pixel that the report calls too small to see: two steps of an 8-bit screen."""
SLACK = 1e-9
TOLD = 6
"""How many budgets the first screen has room for."""
FEW_STEPS = 10
"""An iterative attack with fewer gradient steps than this is called weak."""

CellResult = Mapping[str, Any]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; the ends are None where no interval was drawn."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Findings:
    """One run, read: its results, how it was started, and how often each label occurs."""

    results: Mapping[str, Any]
    run: Mapping[str, Any]
    labels: Mapping[str, int] = field(default_factory=dict)
    """Class name to how many of the tested images carry it (multi-label: how many show the finding)."""
    decisions: int = 0
    """How many answers are judged: one per image, or one per finding that was annotated."""

    @property
    def model(self) -> Mapping[str, Any]:
        return {**self.run.get("model", {}), **self.results.get("model", {})}

    @property
    def data(self) -> Mapping[str, Any]:
        return {**self.run.get("data", {}), **self.results.get("data", {})}

    @property
    def plan(self) -> Mapping[str, Any]:
        """What was asked for."""
        return {**self.run.get("plan", {}), **self.results.get("plan", {})}

    @property
    def kind(self) -> str:
        """ "binary", "multiclass", "multilabel" or "ordinal"."""
        return str(self.data.get("kind", "multiclass"))

    @property
    def classes(self) -> Sequence[str]:
        return [str(c) for c in (self.data.get("classes") or self.model.get("classes") or [])]

    @cached_property
    def split(self) -> str:
        """The images that were attacked; without an attack, the ones that were looked at."""
        cells = self.results["cells"]
        return str(next((c["split"] for c in cells if c["attack"] != "clean"), cells[0]["split"] if cells else "test"))

    @cached_property
    def cells(self) -> list[CellResult]:
        """The cells of that split."""
        return [c for c in self.results["cells"] if c["split"] == self.split]

    @property
    def clean(self) -> CellResult:
        """The cell of the images as they came."""
        return next((c for c in self.cells if c["attack"] == "clean"), {})

    @property
    def resamples(self) -> int | None:
        """How many times the patients were drawn again for each interval."""
        return self.results.get("intervals", {}).get("resamples") or self.run.get("bootstrap")

    @property
    def attacks(self) -> list[str]:
        """Names of the plan's attacks, in the order of the results."""
        return list(dict.fromkeys(c["attack"] for c in self.cells if c["attack"] not in ("clean", "worst", ESCALATION)))

    @property
    def lines(self) -> list[str]:
        """What a curve is drawn of: the attacks, and what the evaluation added when it distrusted them."""
        return [*self.attacks, *([ESCALATION] if any(c["attack"] == ESCALATION for c in self.cells) else [])]

    @property
    def threats(self) -> list[str]:
        """ "linf" first: it is the one people read as grey levels."""
        return sorted({c["threat"] for c in self.cells if c["threat"]}, key=lambda t: (t != "linf", t))

    def eps(self, threat: str) -> list[float]:
        """The budgets above 0 under one threat, small to large."""
        return sorted({c["eps"] for c in self.cells if c["threat"] == threat and c["eps"] > 0})

    def cell(self, attack: str, threat: str, eps: float) -> CellResult | None:
        """The cell of one attack at one budget."""
        asked = (c for c in self.cells if c["attack"] == attack and c["threat"] == threat)
        return next((c for c in asked if abs(c["eps"] - eps) < SLACK), None)

    def worst(self, threat: str, eps: float) -> CellResult:
        """The worst case over attacks at one budget; a single attack is its own worst case."""
        own = [c for name in self.lines if (c := self.cell(name, threat, eps))]
        return self.cell("worst", threat, eps) or min(own, key=lambda c: c["metrics"].get("accuracy", {}).get("value", 1.0))

    def curve(self, threat: str) -> Iterator[tuple[float, CellResult]]:
        """Budget and worst case, from the smallest budget on."""
        return ((eps, self.worst(threat, eps)) for eps in self.eps(threat))

    def told(self, threat: str) -> list[tuple[float, CellResult]]:
        """As much of the curve as a first screen holds: both ends, the budget that cannot be seen, and some between."""
        curve = list(self.curve(threat))
        between = {round(i * (len(curve) - 1) / (TOLD - 1)) for i in range(TOLD)}
        kept = [point for i, point in enumerate(curve) if i in between or point[0] == self.unseen]
        return curve if len(curve) <= TOLD else kept

    @property
    def unseen(self) -> float | None:
        """The largest tested Linf budget that an eye cannot see; None where every budget is larger."""
        return max((e for e in self.eps("linf") if e <= UNSEEN + SLACK), default=None)

    @property
    def majority(self) -> tuple[str, float] | None:
        """The answer that is right most often when given every time, and how often; None where no label is known."""
        if not self.decisions:
            return None
        if self.kind == "multilabel":
            return "no finding", 1 - sum(self.labels.values()) / self.decisions
        name, count = Counter(self.labels).most_common(1)[0]
        return name, count / self.decisions

    @property
    def chance(self) -> float:
        """Balanced accuracy of guessing: over the classes that occur; a half for several findings."""
        occurring = sum(n > 0 for n in self.labels.values()) or len(self.classes)
        return 0.5 if self.kind == "multilabel" else 1 / max(1, occurring)

    @property
    def guesses(self) -> bool:
        """Whether the clean balanced accuracy cannot be told from guessing: then an attack has nothing to show."""
        balanced = estimate(self.clean, "balanced_accuracy")
        return balanced is not None and balanced.low is not None and balanced.low <= self.chance

    def first_below(self, threat: str, metric: str, bound: float) -> float | None:
        """The smallest tested budget at which the worst case of a metric lies below a bound."""
        return next((eps for eps, cell in self.curve(threat) if (e := estimate(cell, metric)) and e.value < bound), None)

    def settings(self, attack: str) -> Mapping[str, Any]:
        """The settings of an attack; those of a cascade hold its `members`."""
        return next((c.get("settings") or {} for c in self.cells if c["attack"] == attack), {})

    def steps(self, attack: str) -> int | None:
        """Gradient steps of an attack, restarts, targets and members included; None where its settings do not say."""
        return steps(self.settings(attack), attack)

    def shown(self, attack: str) -> int | None:
        """How many images an attack was shown, where that is not all of them."""
        images = next((c["images"] for c in self.cells if c["attack"] == attack), None)
        return images if images and images < self.clean.get("images", 0) else None

    def named(self, attack: str) -> str:
        """What the page calls an attack."""
        shown = self.shown(attack)
        return (attack if attack == ESCALATION else attack.upper()) + (f" (on {shown} of the images)" if shown else "")

    def asks(self, attack: str) -> bool:
        """Whether an attack only asks the network, and never sees its gradient (black box)."""
        return bool(self.run.get("documents", {}).get(attack, {}).get("black_box", False))

    @property
    def strongest(self) -> str | None:
        """The attack that took the most gradient steps."""
        return max(self.attacks, key=lambda a: self.steps(a) or FEW_STEPS, default=None)

    @property
    def weak(self) -> bool:
        """Whether every attack was a single step or a handful of them: no ground for calling a model robust."""
        return all((self.steps(a) or FEW_STEPS) < FEW_STEPS for a in self.attacks)

    @property
    def methods(self) -> set[str]:
        """Names of all methods tried, members of cascades among them."""
        settings = [self.settings(a) for a in self.attacks]
        return {str(s["name"]) for own in settings for s in (own, *own.get("members", ())) if "name" in s}


def steps(settings: Mapping[str, Any], name: str = "") -> int | None:
    """Gradient steps that settings ask for; None where they do not say."""
    if settings.get("members"):
        return sum(steps(member) or 0 for member in settings["members"]) or None
    if settings.get("name", name) == "fgsm":
        return 1
    return settings["steps"] * settings.get("restarts", 1) * (settings.get("targets") or 1) if "steps" in settings else None


def estimate(cell: CellResult | None, metric: str) -> Estimate | None:
    """A metric of a cell; None where it is undefined or was left out."""
    found = (cell or {}).get("metrics", {}).get(metric)
    return Estimate(found["value"], found.get("low"), found.get("high")) if found else None


def key(cell: CellResult) -> str:
    """The folder name of a cell in the run."""
    return Cell(cell["attack"], cell["threat"], cell["eps"], cell["split"], cell.get("settings") or {}, False, "").key


def read(folder: Path) -> Findings:
    """Read a run: results.json, run.json and the labels in its records.

    Raises:
        RunError: the folder has no results.json, or one of another schema.
    """
    try:
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"expected results.json in {folder}, got {error}: make it from the records with `robustdx report`") from error
    if results.get("schema") != 1:
        raise RunError(f"expected results.json of schema 1, got {results.get('schema')!r}: make it again with `robustdx report {folder}`")
    started = folder / "run.json"
    findings = Findings(results, json.loads(started.read_text(encoding="utf-8")) if started.exists() else {})
    return replace(findings, **_counted(folder, findings))


def _counted(folder: Path, findings: Findings) -> dict[str, Any]:
    """How often each class occurs among the tested images, from the records of the clean cell."""
    tables = (t for cell, t in Store(folder).cells() if cell.attack == "clean" and cell.split == findings.split)
    labels = [label for table in tables for label in table["label"].to_pylist()]
    counts = dict.fromkeys(findings.classes, 0)
    for label in labels:
        present = [i for i, v in enumerate(label) if v == 1] if findings.kind == "multilabel" else [int(label[0])]
        for i in present:
            counts[findings.classes[i]] += 1
    return {"labels": counts if labels else {}, "decisions": sum(v == v for label in labels for v in label)}
