"""AutoAttack's ensembles, as cascades (Croce & Hein 2020, section 5, and the versions of the authors' code).

Where the reference is not defined, for one logit, two or three classes, several findings, the difference of logits ratio gives way
to the margin, which is as free of scale. On a robust network an image that stands costs about 102 passes in the first member of
`autoattack`, 900 in the second, 900 walks of FAB-T with a forward and a backward pass each, and 5,000 forward passes in the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RATIO = "dlr-or-margin"
FAB_TARGETED = {"name": "fab", "targets": 9, "early_stop": True}


def _cascade(*members: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": "cascade", "members": [dict(m) for m in members]}


AUTOATTACK: Mapping[str, Mapping[str, Any]] = {
    "autoattack": _cascade({"name": "apgd"}, {"name": "apgd-targeted"}, FAB_TARGETED, {"name": "square"}),
    "autoattack-plus": _cascade(
        {"name": "apgd", "restarts": 5},
        {"name": "apgd", "loss": RATIO, "restarts": 5},
        {"name": "fab", "restarts": 5, "early_stop": True},
        {"name": "square"},
        {"name": "apgd-targeted"},
        FAB_TARGETED,
    ),
    "autoattack-rand": _cascade({"name": "apgd"}, {"name": "apgd", "loss": RATIO}),
}
"""`standard`, `plus`, and `rand` for stochastic models, which is to be run on `Averaged(model, samples=20)`."""
