"""What each attack, and each member of a cascade, broke and what it took: counts for results.json. No torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustdx.auditing.evidence import Evidence
from robustdx.auditing.nearest import nearest
from robustdx.metrics.queries import query_curve
from robustdx.records import called

STEPS = (1, 2, 5)
"""Numbers of queries at which a curve is read, in each power of ten."""


def toll(e: Evidence, *, asks: bool, minimal: bool, several: bool) -> dict[str, Any]:
    """The counts of one cell: `broken`, `members` of a cascade, the `queries` of an attack that only asks, the `nearest` of a minimal one.

    `several` says that an image has several decisions and the adversary no goal: then an image is followed to its end, and nobody
    knows after how many queries the first of its decisions turned.
    """
    found: dict[str, Any] = {"broken": {"images": int(broken(e).sum()), "of": int(breakable(e).sum())}}
    if e.members and e.cell.settings.get("members"):
        found["members"] = members(e)
    if asks and e.cell.early_stop and not several and len(e.passes):
        found["queries"] = queries(e)
    if minimal and not several and not e.goals and len(e.distances):
        found["nearest"] = nearest(e)
    return found


def broken(e: Evidence) -> NDArray[Any]:
    """(N,) whether the attack reached its goal on an image, or turned at least one decision on it that was right."""
    if e.form in e.goals:
        return (e.goals[e.form] == 1) & (e.goals["clean"] != 1)
    return ((e.decisions["clean"] == e.labels) & (e.decisions[e.form] != e.labels)).any(1)


def breakable(e: Evidence) -> NDArray[Any]:
    """(N,) whether there was anything to break: a goal that was not reached already, or a decision that was right."""
    if e.form in e.goals:
        return ~np.isnan(e.goals["clean"]) & (e.goals["clean"] != 1)
    return (e.decisions["clean"] == e.labels).any(1)


def members(e: Evidence) -> dict[str, dict[str, int]]:
    """By member of a cascade: the images that it broke, and the passes that these took, its own and those of the members before it."""
    by = np.array([m or "" for m in e.members])
    return {
        name: {"broken": int((by == name).sum()), "forwards": int(forwards), "backwards": int(backwards)}
        for name in called(e.cell.settings["members"])
        for forwards, backwards in [e.passes[by == name].sum(0)]
    }


def queries(e: Evidence) -> dict[str, Any]:
    """How many of the images are broken within so many queries, of those where there was anything to break."""
    asked = breakable(e)
    took, fell = e.passes[asked, 0], broken(e)[asked]
    within = _marks(int(took.max(initial=1)))
    shares = query_curve(took, fell, within) if len(took) else np.zeros(0)
    return {"within": within[: len(shares)], "broken": [round(float(s), 6) for s in shares]}


def _marks(most: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, ... and at last all that were asked."""
    return [n for n in (step * 10**k for k in range(len(str(most))) for step in STEPS) if n < most] + [most]
