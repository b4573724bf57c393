"""What a plan looks at inside the network: analyses of images as they came beside the same images under attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robustdx.analyses import ANALYSES, Analysis
from robustdx.attacks import Attack, follows_gradient
from robustdx.attacks.pgd import PGD
from robustdx.auditing.natural.words import require_labels, require_number
from robustdx.errors import PlanError
from robustdx.threats import Threat

LABEL = "inside"
"""What the cell is called."""
IMAGES = 200
"""How many images are looked at, where no table says."""
LARGE = 8 / 255
"""Attacks are looked at at the largest budget up to this one: what is larger is seen by eye."""
OWN = ("label", "images")
"""Keys of a table that are the audit's and not the analysis's."""


@dataclass(frozen=True)
class Inside:
    """Everything that is looked at, on the same images under the same attacks."""

    analyses: Mapping[str, Analysis]
    attacks: Mapping[str, Attack]
    """By label: those of the plan that follow the gradient, driven to their end; PGD with 20 steps where there are none."""
    threat: Threat
    images: int

    def words(self) -> list[dict[str, Any]]:
        """As a plan has them: what a run belongs to."""
        return [{**ANALYSES.dump(a), "label": label, "images": self.images} for label, a in self.analyses.items()]

    @property
    def settings(self) -> dict[str, Any]:
        """What the cell says of itself."""
        return {"analyses": self.words(), "attacks": list(self.attacks), "eps": self.threat.eps}


def inside(given: Sequence[str | Mapping[str, Any]], driven: Sequence[tuple[str, Attack]], threats: Sequence[Threat]) -> Inside:
    """The analyses of a plan, with the attacks that they look at.

    Raises:
        PlanError: no such name or setting, or two of one label.
    """
    found, images = [], []
    for one in given:
        words = {"name": one} if isinstance(one, str) else dict(one)
        own = {key: words.pop(key) for key in OWN if key in words}
        label = str(own.get("label", words.get("name")))
        images.append(require_number(f"analysis {label}", own.get("images")))
        found.append((label, ANALYSES.parse(words)))
    require_labels("analyses", [label for label, _ in found])
    attacks = {label: a for label, a in driven if follows_gradient(a)} or {"pgd": PGD(steps=20, early_stop=False)}
    if "truth" in attacks:
        raise PlanError("truth is what analyses call the labels: give the attack another label")
    seen = [t for t in threats if t.eps <= LARGE * (1 + 1e-9)]
    return Inside(dict(found), attacks, (seen or list(threats))[-1], max((n for n in images if n), default=IMAGES))
