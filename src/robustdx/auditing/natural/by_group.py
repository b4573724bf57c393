"""The numbers of each subgroup: as they came, over all perturbations, over all clips. Part of results.json. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from robustdx.auditing.evidence import Evidence
from robustdx.auditing.natural.flipping import Clips
from robustdx.auditing.natural.measures import Ruler, differences, means, told

FEW = 20
"""Groups of fewer patients (images, where no patients are named) say that they are few."""
SHOWN = ("accuracy", "balanced_accuracy", "auroc_macro", "ece")
Groups = Mapping[str, Any]


def by_group(groups: Groups, came: Evidence, perturbed: Sequence[Evidence], clips: Sequence[Clips], ruler: Ruler) -> list[dict[str, Any]]:
    """By column, each group in order."""
    return [
        {"column": column, "groups": [_group(name, own["of"], came, perturbed, clips, ruler) for name in own["order"]]}
        for column, own in groups.items()
    ]


def _group(
    name: str, of: Mapping[str, str], came: Evidence, perturbed: Sequence[Evidence], clips: Sequence[Clips], ruler: Ruler
) -> dict[str, Any]:
    clean = _of(came, of, name)
    patients = len(set(clean.groups))
    words: dict[str, Any] = {"group": name, "images": len(clean.ids), "patients": clean.patient_count, "few": patients < FEW}
    words["clean"] = told({k: s for k, s in ruler.headlines(clean, "clean").items() if k in SHOWN}) if clean.ids else {}
    own = [part for e in perturbed if (part := _of(e, of, name)).ids]
    if own:
        after = [ruler.headlines(e, e.form) for e in own]
        moved = [differences(ruler.headlines(e, "clean"), a, len(set(e.groups))) for e, a in zip(own, after, strict=True)]
        shown = [{k: s for k, s in found.items() if k in SHOWN} for found in (means(after), means(moved))]
        words["perturbed"] = {"metrics": told(shown[0]), "change": told(shown[1])}
    seen = [inside for c in clips if (inside := _frames_of(c, of, name)).ids]
    if seen:
        kept = ("flip_probability", "flip_probability_right", "frame_accuracy")
        words["flips"] = told({k: s for k, s in means([clip.metrics(ruler) for clip in seen]).items() if k in kept})
    return words


def _of(e: Evidence, of: Mapping[str, str], name: str) -> Evidence:
    return e.take([i for i in e.ids if of.get(i) == name])


def _frames_of(c: Clips, of: Mapping[str, str], name: str) -> Clips:
    at = [n for n, i in enumerate(c.ids) if of.get(i) == name]
    arrays = {key: getattr(c, key)[at] for key in ("labels", "clean", "clean_scores", "decided", "scores")}
    return replace(c, ids=[c.ids[n] for n in at], patients=[c.patients[n] for n in at], **arrays)
