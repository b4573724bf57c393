"""The sequences that a plan asks for: a preset by its name, or tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robustdx.auditing.natural.words import require_labels, require_number
from robustdx.errors import PlanError
from robustdx.perturbations import SEQUENCES, FrameSequence
from robustdx.perturbations.protocol import require_count
from robustdx.perturbations.sequences.presets import PRESETS, preset

USUAL = "centred"
"""The preset that says how many frames a sequence has, where nothing else does."""
OWN = ("label", "images", "count", "video")
"""Keys of a table that are the audit's and not the sequence's."""


@dataclass(frozen=True)
class Clip:
    """A sequence as the plan asks for it."""

    label: str
    method: FrameSequence
    count: int
    images: int | None
    settings: Mapping[str, Any]
    """The method in words."""


def sequences(given: Sequence[str | Mapping[str, Any]]) -> list[Clip]:
    """The sequences of a plan, in its order.

    Raises:
        PlanError: no such name or setting, a count below 2, or two of one label.
    """
    found = [clip for one in given for clip in _clips({"name": one} if isinstance(one, str) else dict(one))]
    require_labels("sequences", [clip.label for clip in found])
    return found


def _clips(words: dict[str, Any]) -> Iterator[Clip]:
    own = {key: words.pop(key) for key in OWN if key in words}
    name, images = str(words.get("name")), require_number(f"sequence {words.get('name')}", own.get("images"))
    if name not in PRESETS:
        method = SEQUENCES.parse(words)
        yield _clip(str(own.get("label", name)), method, own, PRESETS[USUAL].count, images)
        return
    if len(words) > 1:
        raise PlanError(f"sequences {name}: a preset takes {', '.join(OWN)}, got {', '.join(k for k in words if k != 'name')}")
    methods, count = preset(name)
    for called, method in methods:
        yield _clip(f"{own['label']} {called}" if "label" in own else called, method, own, count, images)


def _clip(label: str, method: FrameSequence, own: Mapping[str, Any], usual: int, images: int | None) -> Clip:
    count = own.get("count", usual)
    if not isinstance(count, int) or isinstance(count, bool):
        raise PlanError(f"sequence {label}: count must be a whole number of frames, got {count!r}")
    require_count(count)
    settings = SEQUENCES.dump(method)
    if own.get("video"):
        from robustdx.perturbations.sequences.video import Filmed

        return Clip(label, Filmed(sequence=method), count, images, {**settings, "video": True})  # type: ignore[arg-type]
    return Clip(label, method, count, images, settings)


def tables(clips: Sequence[Clip]) -> Iterator[dict[str, Any]]:
    """Sequences back in words, spelt out: what a run belongs to."""
    for one in clips:
        words = {**one.settings, "label": one.label, "count": one.count}
        yield words if one.images is None else {**words, "images": one.images}
