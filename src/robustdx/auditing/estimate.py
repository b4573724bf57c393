"""What an audit will run, and about how long: measured on one batch, before anything is written."""

from __future__ import annotations

import time

from robustdx.auditing.cell import Row
from robustdx.auditing.presets import PRESETS
from robustdx.auditing.run import Audit, Craft
from robustdx.models.crafting import still


def outlook(audit: Audit) -> str:
    """The cells of an audit and about how long they take, in words."""
    seconds = _seconds(audit)
    lines = [f"{audit.data_name}: {len(audit.data[audit.split])} images, split {audit.split}; the search runs in {audit.precision}"]
    lines += [f"  {cell.key}: {len(audit.shown(cell))} images" for cell, _, _ in audit.cells]
    if audit.plan.preset:
        lines.append(f"The preset {audit.plan.preset}: {PRESETS[audit.plan.preset].told()}")
    longest = max(1, round(seconds / 60))
    lines.append(f"About {longest} min on this machine (measured on the first batch of every cell).")
    return "\n".join(lines)


def _seconds(audit: Audit) -> float:
    """Every cell on its first batch, scaled to all of its images."""
    judge, exact, fast = audit.networks()
    total = 0.0
    clean: dict[str, Row] = {}
    with still(judge), still(exact), still(fast):
        for cell, attack, threat in audit.cells:
            dataset = audit.shown(cell)
            batch = audit.batch(dataset, range(min(audit.step, len(dataset))))
            began = time.monotonic()
            rows = Craft(audit.judge(judge), exact, fast, attack, threat, cell, audit.plan.seed, clean, None)(batch, 0)
            clean |= {row["id"]: row for row in rows if attack is None}
            total += (time.monotonic() - began) * len(dataset) / len(batch.ids)
    return total
