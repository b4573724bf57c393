"""The words of a plan that ask for no adversary, as methods: perturbations, sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robustdx.errors import PlanError
from robustdx.perturbations import PERTURBATIONS, SEVERITIES, Perturbation
from robustdx.perturbations.artefacts import ARTEFACTS
from robustdx.perturbations.corruptions import CORRUPTIONS
from robustdx.perturbations.protocol import Modality, require_severity

Words = Mapping[str, Any]
GROUPS = {"corruptions": CORRUPTIONS, "artefacts": ARTEFACTS}
"""A word of a plan for all of a room; of artefacts, those that are believable on the data."""
OWN = ("label", "images", "severities")
"""Keys of a perturbation's table that are the audit's and not the method's."""


@dataclass(frozen=True)
class Shown:
    """A perturbation as the plan asks for it."""

    label: str
    method: Perturbation
    severities: tuple[int, ...]
    images: int | None

    @property
    def settings(self) -> dict[str, Any]:
        """The method in words."""
        return PERTURBATIONS.dump(self.method)


def spelt(given: Sequence[str | Words], modality: Modality | None) -> list[dict[str, Any]]:
    """Tables of perturbations, with names of rooms replaced by what they hold."""
    found: list[dict[str, Any]] = []
    for one in ({"name": o} if isinstance(o, str) else dict(o) for o in given):
        room = GROUPS.get(one.get("name", ""))
        if room is None:
            found.append(one)
            continue
        if "label" in one:
            raise PlanError(f"perturbations {one['name']}: several cannot have one label, got {one['label']!r}: leave it out")
        found += [{**one, "name": name} for name, cls in room.items() if believable(cls, modality)]
    return found


def believable(method: Any, modality: Modality | None) -> bool:
    """Whether it may happen to images of a modality; of images whose modality is not known, only what may happen to any."""
    return not method.modalities or modality in method.modalities


def perturbations(given: Sequence[str | Words], modality: Modality | None) -> list[Shown]:
    """The perturbations of a plan.

    Raises:
        PlanError: no such name or setting, a severity that is none, two of one label, or one that cannot happen to such images.
    """
    found = [_shown(words, modality) for words in spelt(given, modality)]
    require_labels("perturbations", [shown.label for shown in found])
    return found


def _shown(words: dict[str, Any], modality: Modality | None) -> Shown:
    own = {key: words.pop(key) for key in OWN if key in words}
    method = PERTURBATIONS.parse(words)
    label = str(own.get("label", words["name"]))
    if modality and not believable(method, modality):
        raise PlanError(
            f"perturbation {label} happens to {' or '.join(method.modalities)}, the images are {modality}: "
            "leave it out, or say what they are with modality"
        )
    return Shown(label, method, _severities(label, own.get("severities", SEVERITIES)), require_number(label, own.get("images")))


def _severities(label: str, given: Any) -> tuple[int, ...]:
    asked = tuple(given) if isinstance(given, list | tuple) else (given,)
    for severity in asked:
        require_severity(severity)
    if not asked or len(set(asked)) < len(asked):
        raise PlanError(f"perturbation {label}: expected different severities from 1 to 5, got {list(asked)}")
    return tuple(sorted(asked))


def require_number(label: str, given: Any, what: str = "images") -> int | None:
    """A whole number of at least 1, where one is given.

    Raises:
        PlanError: it is none.
    """
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 1):
        raise PlanError(f"{label}: {what} must be a whole number of at least 1, got {given!r}")
    return given


def require_labels(what: str, labels: Sequence[str]) -> None:
    """Refuse what cannot be told apart.

    Raises:
        PlanError: two of one label, or an empty one.
    """
    twice = {label for label in labels if labels.count(label) > 1}
    if twice:
        raise PlanError(f'two {what} are called {min(twice)}: give one of them another label, label = "..."')
    if "" in labels:
        raise PlanError(f"{what}: expected a name for each, got an empty label: leave it out or fill it in")


def tables(shown: Sequence[Shown]) -> Iterator[dict[str, Any]]:
    """Perturbations back in words, spelt out: what a run belongs to."""
    for one in shown:
        words = {**one.settings, "label": one.label, "severities": list(one.severities)}
        yield words if one.images is None else {**words, "images": one.images}
