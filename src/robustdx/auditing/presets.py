"""What `robustdx audit --preset` stands for: attacks that go well together, what they are good for, and what they cost.

Every attack here is defined for every task and for Linf and L2, so that a preset is the same for all of them. Where an image has
fewer rivals than an attack has targets (one logit, two classes, two findings) the attack takes those there are, and costs less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PresetName = Literal["quick", "standard", "thorough", "clinical"]
DEFAULT: tuple[Mapping[str, Any], ...] = ({"name": "fgsm"}, {"name": "pgd", "steps": 40})
"""What an audit runs that names neither attacks nor a preset."""


@dataclass(frozen=True)
class Priced:
    """An attack as a plan has it, with its price."""

    attack: Mapping[str, Any]
    passes: int
    """Forward and backward passes together that an image takes at one eps if it stands through it all; one that falls leaves early."""

    def told(self) -> str:
        name = str(self.attack.get("label", self.attack["name"]))
        on = f" (on {self.attack['images']} images drawn by patient)" if "images" in self.attack else ""
        return f"{name}{on} {self.passes:,}"


@dataclass(frozen=True)
class Preset:
    """Attacks that go well together."""

    meaning: str
    parts: tuple[Priced, ...]
    eps: tuple[float, ...] = ()
    """Budgets under Linf, where the plan names none; empty: those that every audit takes."""
    natural: Mapping[str, Any] = field(default_factory=dict)
    """What is asked for without an adversary, by the keys of a plan, where the plan itself does not say."""

    @property
    def attacks(self) -> tuple[Mapping[str, Any], ...]:
        """As they stand in a plan."""
        return tuple(part.attack for part in self.parts)

    def told(self) -> str:
        """What it is good for, and its price."""
        price = "; ".join(part.told() for part in self.parts)
        told = f"{self.meaning} Passes for each image and eps, forwards and backwards, where it stands (fewer where it falls): {price}."
        return f"{told} Without an adversary: {', '.join(k.replace('_', ' ') for k in self.natural)}." if self.natural else told


QUICK = (Priced({"name": "fgsm"}, 2), Priced({"name": "pgd", "steps": 20}, 41))
LEVELS = [1, 3, 5]
"""Severities that `clinical` shows: the curve's two ends and its middle."""
EVERYDAY = ("gaussian_noise", "defocus_blur", "motion_blur", "brightness", "contrast", "pixelate", "jpeg_compression")
"""Corruptions that happen to pictures in a clinic: a dark room, a hand that shakes, a cheap camera, a small file. No weather."""


PRESETS: Mapping[str, Preset] = {
    "quick": Preset(
        "A first look in minutes: an undefended network falls to it, but it is no ground for calling one robust.",
        QUICK,
    ),
    "standard": Preset(
        "The audit to report: gradients followed three ways, each member of the cascade on what the ones before left standing, "
        "and a black-box search without gradients on some of the images, which shows what it costs who can only ask and whether "
        "the gradient is hidden.",
        (
            Priced({"name": "fgsm"}, 2),
            Priced({"name": "pgd", "steps": 40}, 81),
            Priced(
                {
                    "name": "cascade",
                    "members": [
                        {"name": "apgd", "steps": 100},
                        {"name": "apgd-targeted", "targets": 3, "steps": 50},
                        {"name": "fab", "targets": 3, "steps": 50, "early_stop": True},
                    ],
                },
                825,
            ),
            Priced({"name": "square", "queries": 1000, "images": 100}, 1002),
        ),
    ),
    "thorough": Preset(
        "Before calling a network robust: long climbs from several starts, AutoAttack, and a long black-box search. Hours where it stands.",
        (
            Priced({"name": "fgsm"}, 2),
            Priced({"name": "pgd", "steps": 100, "restarts": 5}, 1005),
            Priced({"name": "autoattack"}, 8_840),
            Priced({"name": "square", "queries": 5000, "images": 200}, 5002),
        ),
    ),
    "clinical": Preset(
        "What a clinic meets: pictures taken on a worse day (corruptions, and artefacts that happen to such images), clips in which the "
        "answer should not flip, the worst that plausible handling can do, a look inside, and the quick attacks.",
        QUICK,
        eps=(1 / 255, 2 / 255, 4 / 255),
        natural={
            "perturbations": (
                *({"name": name, "severities": LEVELS} for name in EVERYDAY),
                {"name": "artefacts", "severities": LEVELS},
            ),
            "sequences": ({"name": "centred", "images": 100},),
            "worst_case": {"images": 60},
            "analyses": tuple({"name": name, "images": 100} for name in ("separability", "cka", "response-areas")),
        },
    ),
}
