"""tables/broken.csv: which attack, and which member of a cascade, broke which image. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from robustdx.auditing.evidence import Evidence
from robustdx.auditing.toll import broken
from robustdx.records import Cell
from robustdx.report.tables import eps_255, named
from robustdx.store import Store

HEADER = ("threat", "eps_255", "split", "id", "patient", "label", "broken_by", "cheapest", "passes")


def broken_rows(store: Store, data: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """A row per budget and image: who broke it, and who did so with the fewest passes."""
    attacked = sorted((cell for cell, _ in store.cells() if cell.attack != "clean"), key=lambda c: (*_budget(c), c.attack))
    for (threat, eps, split), same in groupby(attacked, key=_budget):
        own = [Evidence.read(cell, store.records(cell), None) for cell in same]
        widest, culprits = max(own, key=lambda e: len(e.ids)), [_culprits(e) for e in own]
        for i, patient, label in zip(widest.ids, widest.patients, widest.labels, strict=True):
            by = [found[i] for found in culprits if i in found]
            least, who = min(by, default=("", ""))
            names = " + ".join(name for _, name in by)
            yield threat, eps_255(eps), split, i, patient or "", named(label, data), names, who, least


def _culprits(e: Evidence) -> dict[str, tuple[int, str]]:
    """By id of the images that an attack broke: the passes that it took, and its name with the member's."""
    members = e.members or [None] * len(e.ids)
    seen = zip(e.ids, e.passes.sum(1).tolist(), members, broken(e), strict=True)
    return {i: (passes, e.cell.attack + (f" ({member})" if member else "")) for i, passes, member, fell in seen if fell}


def _budget(cell: Cell) -> tuple[str, float, str]:
    return cell.threat, cell.eps, cell.split
