"""What an audit will run, and about how long: measured on one batch, before anything is written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from robustdx.auditing.cell import Row
from robustdx.auditing.escalation.climb import Escalation
from robustdx.auditing.escalation.conduct import budgets, escalated
from robustdx.auditing.escalation.steps import STRONG, Step
from robustdx.auditing.escalation.views import OWN, View
from robustdx.auditing.natural.cells import CRAFTS
from robustdx.auditing.presets import PRESETS
from robustdx.auditing.run import Audit, Craft, Maker
from robustdx.models import DiagnosticModel, still
from robustdx.threats import Threat


def outlook(audit: Audit) -> str:
    """The cells of an audit and about how long they take, in words."""
    seconds = _seconds(audit)
    lines = [f"{audit.data_name}: {len(audit.data[audit.split])} images, split {audit.split}; the search runs in {audit.precision}"]
    lines += [f"  {cell.key}: {len(audit.shown(cell))} images" for cell in audit.foreseen]
    if audit.plan.preset:
        lines.append(f"The preset {audit.plan.preset}: {PRESETS[audit.plan.preset].told()}")
    lines += [f"  {escalated(audit, threat, []).key}: those that still stand" for threat in budgets(audit)]
    longest = max(1, round(seconds / 60))
    lines.append(f"About {longest} min on this machine (measured on the first batch of every cell).")
    if budgets(audit):
        lines.append("The escalation counts as for a smooth gradient; a defence that hides its gradient or draws costs several times that.")
    return "\n".join(lines)


def _seconds(audit: Audit) -> float:
    """Every cell on its first batch, scaled to all of its images."""
    judge, exact, fast = audit.networks()
    total = 0.0
    clean: dict[str, Row] = {}
    found: dict[float, list[dict[str, Row]]] = {}
    with still(judge), still(exact), still(fast):
        for cell, attack, threat in audit.cells:
            dataset = audit.shown(cell)
            batch = audit.batch(dataset, range(min(audit.step, len(dataset))))
            began = time.monotonic()
            rows = Craft(audit.judge(judge), exact, fast, attack, threat, cell, audit.plan.seed, clean, None)(batch, 0)
            clean |= {row["id"]: row for row in rows if attack is None}
            found.setdefault(cell.eps, []).append({row["id"]: row for row in rows})
            total += (time.monotonic() - began) * len(dataset) / len(batch.ids)
        for cell, method in audit.natural:
            total += _once(audit, CRAFTS[cell.natural](cell, method, judge, clean, audit.plan.seed))
        for threat in budgets(audit):
            total += _doubted(audit, judge, threat, clean, found[threat.eps])
    return total


def _once(audit: Audit, craft: Maker) -> float:
    """One cell without an adversary on its first batch, scaled to all of its images."""
    dataset = audit.shown(craft.cell)
    batch = audit.batch(dataset, range(min(audit.step, len(dataset))), attacked=False)
    began = time.monotonic()
    craft(batch, 0)
    return (time.monotonic() - began) * len(dataset) / len(batch.ids)


def _doubted(audit: Audit, judge: DiagnosticModel, threat: Threat, clean: Mapping[str, Row], before: Sequence[Mapping[str, Row]]) -> float:
    """The step that every escalation takes, on what stands of the first batch."""
    dataset = audit.data[audit.split]
    batch = audit.batch(dataset, range(min(audit.step, len(dataset))))
    step = Step("gradient", View(OWN, judge, answers=True), STRONG, "")
    cell = escalated(audit, threat, [step])
    began = time.monotonic()
    Escalation(judge, [step], threat, cell, audit.plan.seed, clean, before)(batch, 0)
    return (time.monotonic() - began) * len(dataset) / len(batch.ids)
