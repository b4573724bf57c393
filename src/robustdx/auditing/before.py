"""The network that a hardened one was made from: found through the run folder, and audited beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from robustdx.auditing.plan import AuditPlan
from robustdx.auditing.prepare import prepare
from robustdx.auditing.run import Audit
from robustdx.catalogue import build
from robustdx.errors import RobustdxError
from robustdx.models import ModelSpec, folder

FIRST = "first"
"""A model folder inside that of a training: what its maker wants it compared with, where there is no start."""
FROM_NOTHING = "training began from random weights: there is no network before it to compare with"
LEFT_OUT = "the comparison with the network before hardening was left out"
GIVEN = ("data", "task", "threat")
"""What an audit of a hardened network takes from its training, where the user does not say."""


@dataclass(frozen=True)
class First:
    """The network before hardening; without a `spec`, `about` says why there is none."""

    about: str
    spec: ModelSpec | None = None


def is_hardened(source: str) -> bool:
    """Whether a model is the folder of a training."""
    return all((Path(source) / name).is_file() for name in (folder.FACTS, folder.WEIGHTS, "curve.json", "plan.json"))


def first_of(source: str) -> First | None:
    """The network that a model was hardened from; None of a model that robustdx did not harden."""
    if not is_hardened(source):
        return None
    home, plan = Path(source), _words(Path(source) / "plan.json")
    if compare := _words(home / "run.json").get("compare"):
        return First(f"the network that it was to be compared with, {_called(compare)}", build(ModelSpec, compare, where="compare"))
    if (home / FIRST / folder.FACTS).is_file():
        return First("the network that the training kept for comparison", ModelSpec(source=str(home / FIRST)))
    if plan.get("start") is None:
        return First(FROM_NOTHING)
    return _started_from(plan)


def asked_of(source: str) -> dict[str, Any]:
    """Words for the plan of an audit, out of the plan of the training: the same data, task and threat."""
    plan = _words(Path(source) / "plan.json") if is_hardened(source) else {}
    return {key: plan[key] for key in GIVEN if key in plan}


def beside(ready: Audit, first: First, *, trust_code: bool = False) -> tuple[Audit | None, str]:
    """The same audit of the first network, on the same images; None where it cannot be had, and in words which or why."""
    if first.spec is None:
        return None, first.about
    plan: AuditPlan = replace(ready.plan, model=first.spec)
    try:
        made = prepare(plan, trust_code=trust_code, device=str(ready.device))
    except RobustdxError as refusal:
        return None, f"{first.about}, cannot be compared with: {refusal}"
    return replace(made, data=ready.data, split=ready.split, cut_groups=ready.cut_groups), first.about


def _started_from(plan: Mapping[str, Any]) -> First:
    """What the key `start` of a training's plan names, as long as it is still there and the same."""
    start = Path(plan["start"])
    about, weights = f"the network that training started from, {start}", start / folder.WEIGHTS if start.is_dir() else start
    if not weights.is_file():
        return First(f"{about}, is no longer there")
    if plan.get("start_sha256") != sha256(weights.read_bytes()).hexdigest():
        return First(f"{about}, has changed since")
    if start.is_dir():
        return First(about, ModelSpec(source=str(start)))
    return First(about, build(ModelSpec, {**plan["model"], "weights": str(start)}, where="start"))


def _called(compare: Mapping[str, Any]) -> str:
    return str(compare["source"]) + (f" with {compare['weights']}" if compare.get("weights") else "")


def _words(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
