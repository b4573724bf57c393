"""An inspection in words: the verdict that comes first, and everything found as plain JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from robustdx.data.inspection.inspect import Inspection, class_counts, label_words

SCHEMA = 1


def verdict(found: Inspection) -> list[str]:
    """What a person must know before using the set, the gravest first; one sentence that says so if there is nothing."""
    kinds = (_unreadable, _cut, _copies_across, _conflicts, _across_patients, _copies, _odd, _unlisted)
    return [sentence for kind in kinds if (sentence := kind(found))] or ["No copies, no cut patients, no conflicting labels, no odd files."]


def as_json(found: Inspection) -> dict[str, Any]:
    """Everything found, with the id, file, split, label and patient of every image concerned."""
    data, about = found.dataset, _about(found)
    return {
        "schema": SCHEMA,
        "data": {
            "name": data.name,
            "kind": data.kind,
            "classes": list(data.classes),
            "images": len(data),
            "grouped": data.grouped,
            "class_counts": class_counts(data),
        },
        "verdict": verdict(found),
        "counts": counts(found),
        "pairs": [{"kind": p.kind, "agreement": p.agreement, "images": [about(p.first), about(p.second)]} for p in found.pairs],
        "copies": [_group(found, g) for g in found.copies],
        "cut_groups": [_cut_group(found, name) for name in sorted(found.cut)],
        "leaks": {s: {why: [data.examples[i].id for i in at] for why, at in found.leaks(s).items()} for s in data.splits if s != "train"},
        "unreadable": [{**about(i), "problem": why} for i, why in found.unreadable.items()],
        "odd": [{**about(i), "problem": why} for i, why in found.odd.items()],
        "unlisted": list(found.unlisted),
    }


def counts(found: Inspection) -> dict[str, int]:
    """How many of each kind of finding."""
    kinds = Counter(p.kind for p in found.pairs)
    return {
        "pairs_same_file": kinds["same file"],
        "pairs_same_pixels": kinds["same pixels"],
        "pairs_near": kinds["near"],
        "copy_groups": len(found.copies),
        "copy_groups_across_splits": len(found.across_splits),
        "copy_groups_across_labels": len(found.conflicts),
        "copy_groups_across_patients": len(found.across_patients),
        "cut_groups": len(found.cut),
        "unreadable": len(found.unreadable),
        "odd": len(found.odd),
        "unlisted": len(found.unlisted),
    }


def worst(found: Inspection, groups: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """Groups of copies with the gravest first: across splits and labels, then across one of them, then the large ones."""
    across, conflicts = set(map(tuple, found.across_splits)), set(map(tuple, found.conflicts))
    return sorted(groups, key=lambda g: (-(tuple(g) in across) - (tuple(g) in conflicts), -len(g), g[0]))


def _about(found: Inspection) -> Callable[[int], dict[str, Any]]:
    def about(i: int) -> dict[str, Any]:
        e = found.dataset.examples[i]
        return {"id": e.id, "file": e.file, "split": e.split, "label": label_words(found.dataset, e), "patient": e.patient}

    return about


def _group(found: Inspection, group: Sequence[int]) -> dict[str, Any]:
    return {
        "across_splits": group in found.across_splits,
        "across_labels": group in found.conflicts,
        "images": [_about(found)(i) for i in group],
    }


def _cut_group(found: Inspection, name: str) -> dict[str, Any]:
    members = [i for i, e in enumerate(found.dataset.examples) if e.patient == name]
    return {"patient": name, "splits": list(found.cut[name]), "images": [_about(found)(i) for i in members]}


def _unreadable(found: Inspection) -> str | None:
    n = len(found.unreadable)
    return f"{_images(n)} cannot be read: an audit of this set stops there." if n else None


def _cut(found: Inspection) -> str | None:
    if not found.cut:
        return None
    parts = []
    for split in [s for s in found.dataset.splits if s != "train"]:
        seen, size = len(found.leaks(split)["patients"]), len(found.dataset.only(split))
        parts.append(f"{seen:,} of {size:,} {split} images ({seen / size:.0%}) show a patient or lesion that is also in train")
    told = "; ".join(parts) or "train is not among them"
    return f"Do not trust a score on this split: it cuts {_some(len(found.cut), 'patient or lesion', 'patients or lesions')}: {told}."


def _copies_across(found: Inspection) -> str | None:
    n = len(found.across_splits)
    if not n:
        return None
    parts = [f"{len(found.leaks(s)['copies']):,} {s} images are also in train" for s in found.dataset.splits if s != "train"]
    return f"{_some(n, 'picture lies', 'pictures lie')} in more than one split: {'; '.join(parts)}."


def _conflicts(found: Inspection) -> str | None:
    n = len(found.conflicts)
    return f"{_some(n, 'picture has', 'pictures have')} two or more different labels: not all of them can be right." if n else None


def _across_patients(found: Inspection) -> str | None:
    n = len(found.across_patients)
    what = _some(n, "picture is", "pictures are")
    return f"{what} filed under more than one patient or lesion: a split by patient does not keep them together." if n else None


def _copies(found: Inspection) -> str | None:
    n = counts(found)
    exact, near = n["pairs_same_file"] + n["pairs_same_pixels"], n["pairs_near"]
    if not exact + near:
        return None
    spare = sum(len(g) - 1 for g in found.copies)
    return f"{_images(spare)} {'is a copy' if spare == 1 else 'are copies'} of another in the set ({exact:,} exact pairs, {near:,} near)."


def _odd(found: Inspection) -> str | None:
    n = len(found.odd)
    return f"{_images(n)} {'differs' if n == 1 else 'differ'} from the rest in size, shape, colour or content: look at them." if n else None


def _unlisted(found: Inspection) -> str | None:
    n = len(found.unlisted)
    return f"{_some(n, 'image file lies', 'image files lie')} in the folders without being part of the set." if n else None


def _images(n: int) -> str:
    return _some(n, "image", "images")


def _some(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"
