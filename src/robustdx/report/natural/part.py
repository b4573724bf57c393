"""Everything the page shows without an adversary, put together; nothing where nothing was asked. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustdx.report.figures import Figure
from robustdx.report.findings import Findings
from robustdx.report.natural.curves import curves
from robustdx.report.natural.flips import Flips, flips
from robustdx.report.natural.handling import Worst, worst
from robustdx.report.natural.inside import Inside, inside
from robustdx.report.natural.losses import Losses, losses
from robustdx.report.natural.subgroups import Column, subgroups
from robustdx.report.natural.told import modality, told

GLOSSARY = (
    (
        "Natural perturbation",
        "What happens to pictures without anybody's intent: noise, blur, another exposure, a hair. Nobody looks for the worst image.",
    ),
    ("Severity", "How strong it is, from 1 (hardly seen) to 5 (hardly readable)."),
    ("Flip probability", "Share of the frames of a slowly changing clip on which the model's answer differs from the one before."),
    (
        "Calibration error (ECE)",
        "How far the model's confidence lies from how often it is right: 10 points means that 90 % sure is right in 80 of 100 cases.",
    ),
)
"""Words that only these parts use."""


@dataclass(frozen=True)
class NaturalPart:
    """What the page shows."""

    told: Sequence[str]
    modality: str
    flags: Sequence[Mapping[str, Any]]
    losses: Losses | None
    curves: Sequence[Figure]
    flips: Flips | None
    worst: Worst | None
    inside: Inside | None
    subgroups: Sequence[Column]
    methods: Sequence[tuple[str, str, str]]
    """What each perturbation or sequence is: name, settings, in words."""

    @property
    def figures(self) -> list[Figure]:
        """All plots."""
        return [*self.curves, *(figure for look in (self.inside.looks if self.inside else ()) for figure in look.figures)]


def natural(f: Findings, folder: Path) -> NaturalPart | None:
    """The part of a run in its folder; None where it asked for nothing natural."""
    found = f.results.get("natural")
    if not found:
        return None
    return NaturalPart(
        told=told(f, found),
        modality=modality(found),
        flags=found.get("flags", []),
        losses=losses(f, found),
        curves=curves(found),
        flips=flips(found),
        worst=worst(f, found, folder),
        subgroups=subgroups(found),
        inside=inside(found, folder, f.plan.get("threat", "linf"), f.classes),
        methods=list(_methods(f, found)),
    )


def _methods(f: Findings, found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    documents: Mapping[str, Any] = f.run.get("natural", {}).get("documents", {})
    return [
        (own["label"].replace("_", " "), _spelt(own["settings"]), str(documents.get(kind, {}).get(own["label"], {}).get("about", "")))
        for kind, key in (("perturbation", "perturbations"), ("sequence", "sequences"))
        for own in found.get(key, [])
    ]


def _spelt(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items() if name != "name")
