"""What a minimal-norm attack says besides its budget: how near the nearest broken image is, and robust accuracy at every smaller eps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from robustdx.auditing.evidence import Evidence

POINTS = 20
"""How many budgets the curve is read at, evenly up to eps."""
SLACK = 1e-6


def nearest(e: Evidence) -> dict[str, Any]:
    """The `nearest` of a cell in results.json: a median distance, and the curve of robust accuracy that one run gives.

    Of the image as found: rounding to a file adds to a distance. An image that was right stands at eps where nothing nearer than
    that broke it; one that was wrong from the start stands nowhere. The median is over images that were right, and null where
    fewer than half of them were broken.
    """
    right, wrong = ((e.decisions[form] == e.labels).all(1) for form in ("clean", "searched"))
    distance = np.where(right & ~wrong, e.distances, np.inf)
    middle = float(np.median(distance[right])) if right.any() else math.inf
    eps = [e.cell.eps * n / POINTS for n in range(POINTS + 1)]
    accuracy = [float((right & (distance > at * (1 + SLACK))).mean()) for at in eps]
    return {"median": middle if math.isfinite(middle) else None, "eps": eps, "accuracy": [round(a, 6) for a in accuracy]}
