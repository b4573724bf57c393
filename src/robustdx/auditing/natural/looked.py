"""The cell of the analyses: each batch crafted once, looked at by all of them, and kept; in the end each says what all batches show."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from robustdx.analyses import ANALYSES, Seen, Views
from robustdx.auditing.cell import Batch, Row, attacked_rows
from robustdx.auditing.natural.inside import Inside
from robustdx.catalogue import document
from robustdx.data import Dataset
from robustdx.draws import Draws
from robustdx.errors import RobustdxError
from robustdx.models import DiagnosticModel
from robustdx.models.crafting import Subject
from robustdx.records import LOOKED, Cell
from robustdx.store import Store
from robustdx.threats import Threat

FILE = "analyses.json"
"""What the analyses say of a run; their pictures lie in analyses/LABEL.npz."""
FIELDS = ("rows", "pictures")


@dataclass(frozen=True)
class Looked:
    """How the batches of the cell are made. Cost per image: the attacks, driven to their end, and what each analysis takes for a view."""

    cell: Cell
    method: Inside
    model: DiagnosticModel
    """The model that is audited."""
    clean: Mapping[str, Row]
    """Records of the images as they came, by id."""
    seed: int
    dataset: Dataset | None = None
    """Where the masks come from, if there are any."""
    schema: ClassVar[pa.Schema] = LOOKED

    @property
    def threat(self) -> Threat:
        """What the adversary may do."""
        return self.method.threat

    def __call__(self, batch: Batch, n: int) -> list[Row]:
        """A row for each analysis."""
        clean = [self.clean[i] for i in batch.ids]
        attacked = {
            label: attacked_rows(Subject(self.model), batch, clean, attack, self.threat, label, self.seed)[1]
            for label, attack in self.method.attacks.items()
        }
        known = None if None in batch.patients else tuple(map(str, batch.patients))
        views = Views(batch.x, attacked, batch.y, batch.draws(self.seed).fork("inside"), known, self._masks(batch))
        return [{"analysis": label, "seen": packed(a(self.model, views))} for label, a in self.method.analyses.items()]

    def _masks(self, batch: Batch) -> Tensor | None:
        if self.dataset is None or self.dataset.mask is None:
            return None
        by_id, (height, width) = {e.id: e for e in self.dataset.examples}, batch.x.shape[2:]
        found = [self.dataset.mask(by_id[i], (height, width)) for i in batch.ids]
        return None if any(m is None for m in found) else torch.from_numpy(np.stack(found)).to(batch.x)  # type: ignore[arg-type]


def conclude(store: Store, cell: Cell, method: Inside) -> None:
    """Write what all batches show; an analysis that cannot say anything says why."""
    if (store.path / FILE).is_file():
        return
    parts: dict[str, list[Seen]] = {}
    for row in store.records(cell).to_pylist():
        parts.setdefault(row["analysis"], []).append(unpacked(row["seen"]))
    found = [_said(store, label, method, seen) for label, seen in parts.items()]
    first = Seen.joined(next(iter(parts.values())))
    about = {"key": cell.key, "images": len(first.ids), "eps": method.threat.eps, "views": list(first.views)}
    store.write_json(FILE, {**about, "analyses": found})


def _said(store: Store, label: str, method: Inside, parts: list[Seen]) -> dict[str, Any]:
    analysis = method.analyses[label]
    settings = ANALYSES.dump(analysis)
    about = (type(analysis).__doc__ or "").partition("\n")[0]
    words = {"label": label, "settings": settings, "about": about, "fields": document(type(analysis))}
    try:
        finding = analysis.conclude(Seen.joined(parts))
    except RobustdxError as refusal:
        return {**words, "numbers": [], "refused": str(refusal)}
    arrays = {f"{view}/{of}": array for view, own in finding.pictures.items() for of, array in own.items()}
    if arrays:
        store.write_bytes(f"analyses/{label}.npz", _npz(arrays))
    return {**words, "numbers": finding.words(), "pictures": sorted(arrays)}


def packed(seen: Seen) -> bytes:
    """What was seen of a batch, as bytes; arrays only, so that to read them runs nothing."""
    arrays: dict[str, Any] = {"truth": seen.truth}
    names: list[tuple[str, str, str]] = []
    for field in FIELDS:
        for view, own in getattr(seen, field).items():
            names += [(field, view, "")]
            for of, array in own.items():
                arrays[str(len(names))] = array
                names.append((field, view, of))
    words = {"ids": seen.ids, "classes": seen.classes, "findings": seen.findings, "patients": seen.patients, "lacking": dict(seen.lacking)}
    arrays["words"] = np.frombuffer(json.dumps({**words, "names": names}).encode(), dtype=np.uint8)
    return _npz(arrays)


def unpacked(content: bytes) -> Seen:
    """What was seen of a batch again."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        words = json.loads(arrays["words"].tobytes().decode())
        fields: dict[str, dict[str, dict[str, Any]]] = {field: {} for field in FIELDS}
        for n, (field, view, of) in enumerate(words["names"]):
            own = fields[field].setdefault(view, {})
            if of:
                own[of] = arrays[str(n)]
        patients = words["patients"] and tuple(words["patients"])
        return Seen(
            ids=tuple(words["ids"]),
            classes=tuple(words["classes"]),
            truth=arrays["truth"],
            findings=words["findings"],
            rows=fields["rows"],
            patients=patients or None,
            pictures=fields["pictures"],
            lacking=words["lacking"],
        )


def require_inside(method: Inside, model: DiagnosticModel) -> None:
    """Try each analysis on a grey image, so that a layer that does not exist is refused before a folder is made."""
    x = torch.full((2, model.channels, *(model.size or (64, 64))), 0.5, device=model.mean.device)
    y = model.task.decide(model(x, Draws(0, ("one", "two"))))
    views = Views(x, dict.fromkeys(method.attacks, x), y, Draws(0, ("one", "two")), masks=torch.ones_like(x[:, 0]))
    for _ in _tried(method, model, views):
        pass


def _tried(method: Inside, model: DiagnosticModel, views: Views) -> Iterator[Seen]:
    return (analysis(model, views) for analysis in method.analyses.values())


def _npz(arrays: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()
