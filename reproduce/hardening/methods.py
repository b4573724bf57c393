"""Which trainings are compared: everything but the objective is the same for all, and each may do the same floating-point work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Words = Mapping[str, Any]

STD = [0.229, 0.224, 0.225]
"""By which a budget that was published for normalised images is read in pixels."""
AUTO = "auto"
METHODS: dict[str, Words] = {
    "standard": {"name": "standard"},
    "at-fgsm": {"name": "at-fgsm"},
    "at-pgd": {"name": "at-pgd"},
    "at-mixed": {"name": "at-mixed"},
    "advt": {"name": "advt"},
    "advt-published": {"name": "advt", "version": "as_published", "std": STD},
    "mpadvt": {"name": "mpadvt"},
    "mpadvt-published": {"name": "mpadvt", "version": "as_published", "std": STD},
    "maadvt": {"name": "maadvt"},
    "maadvt-published": {"name": "maadvt", "version": "as_published", "std": STD},
    "trades": {"name": "trades"},
    "mart": {"name": "mart"},
    "awp": {"name": "awp", "objective": {"name": "madry"}},
    "n-fgsm": {"name": "n-fgsm"},
}
"""The objectives as their authors set them, and the papers' two also as published; `auto` is beside them."""
BEST_OF = {"advt": "advt-published", "mpadvt": "mpadvt-published", "maadvt": "maadvt-published"}
"""Two readings of one method: the better on validation images stands for it."""
SIZE, EPS = [54, 72], 2 / 255
JUDGE: Words = {"name": "pgd", "steps": 5, "early_stop": True}
"""Chooses the epoch on validation images, for every method."""


def plan(data: str, objective: Words, epochs: float, seed: int) -> dict[str, Any]:
    """One training in words."""
    return {
        "model": {"source": "timm:resnet18", "size": SIZE},
        "data": data,
        "objective": dict(objective),
        "eps": EPS,
        "stages": [{"epochs": epochs}],
        "warm_up": min(1.0, epochs / 4),
        "judge": dict(JUDGE),
        "seed": seed,
    }
