"""Adversarial images as files, with a manifest of what was done: `robustdx attack`."""

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from robustdx.attacks import Attack
from robustdx.auditing.cell import Batch, Row, attacked_rows, clean_rows
from robustdx.auditing.run import Audit, Progress
from robustdx.data import Dataset, Example
from robustdx.data.read import ENDINGS, metadata
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel
from robustdx.models.crafting import Subject, still
from robustdx.records import Cell, table
from robustdx.store import Store
from robustdx.tensors import Images
from robustdx.threats import Threat

COLUMNS = (
    *("id", "source", "image", "attack", "settings", "threat", "eps", "distance", "label"),
    *("decision_before", "decision_after", "scores_before", "scores_after", "forwards", "backwards"),
)
"""What manifest.csv says of each image. Everything is as saved: the distance in the units of eps, decisions and scores in float32."""


@dataclass(frozen=True)
class Export:
    """One attack at one budget on one split, its images written as PNG files that `folder:OUT/images` can read again."""

    audit: Audit
    cell: Cell
    attack: Attack
    threat: Threat

    @classmethod
    def of(cls, audit: Audit) -> Export:
        """The only cell of a plan.

        Raises:
            PlanError: there are several, or its budget does not reach one step of the grid.
        """
        cells = list(audit.plan.cells(audit.split))
        if len(cells) != 1:
            raise PlanError(f"expected one attack and one eps, got {len(cells)} pairs of them: images are made for one at a time")
        cell, attack, threat = cells[0]
        if not threat.savable:
            raise PlanError(
                f"expected an eps of at least one step of the grid (1/{threat.levels}), got {threat.eps:.4g}: "
                "nothing smaller survives being written to a file"
            )
        return cls(audit, cell, attack, threat)

    @property
    def dataset(self) -> Dataset:
        return self.audit.shown(self.cell)

    def run(self, store: Store, progress: Progress) -> None:
        """Make what is not there yet, then the manifest."""
        judge, exact, fast = self.audit.networks()
        starts = range(0, len(self.dataset), self.audit.step)
        names = names_of(self.dataset.examples)
        with still(judge), still(exact), still(fast):
            for n in range(store.parts(self.cell), len(starts)):
                began = time.monotonic()
                indices = range(starts[n], min(starts[n] + self.audit.step, len(self.dataset)))
                rows, saved = self._crafted(Subject(exact, fast), judge, self.audit.batch(self.dataset, indices))
                for i, image in zip(indices, saved, strict=True):
                    store.write_bytes(names[i], png(image, self.dataset.examples[i]))
                store.add_part(self.cell, n, table(rows), time.monotonic() - began)
                progress(self.cell.attack, indices[-1] + 1, len(self.dataset))
        store.finish(self.cell, len(starts))
        store.write_text("manifest.csv", self._manifest(store.records(self.cell).to_pylist(), names))

    def _crafted(self, subject: Subject, judge: DiagnosticModel, batch: Batch) -> tuple[list[Row], Images]:
        clean = clean_rows(judge, batch, self.audit.plan.seed)
        return attacked_rows(
            subject, batch, clean, self.attack, self.threat, self.cell.attack, self.audit.plan.seed, self.audit.judge(judge)
        )

    def _manifest(self, rows: Sequence[Row], names: Sequence[str]) -> str:
        file = io.StringIO()
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row, example, name in zip(rows, self.dataset.examples, names, strict=True):
            writer.writerow(self._line(row, example, name))
        return file.getvalue()

    def _line(self, row: Row, example: Example, name: str) -> dict[str, Any]:
        settings = {k: v for k, v in self.cell.settings.items() if k != "name"}
        judged = {
            f"{what}_{when}": self._called(row[f"{form}_decision"]) if what == "decision" else _numbers(row[f"{form}_scores"])
            for what in ("decision", "scores")
            for when, form in (("before", "clean"), ("after", "saved"))
        }
        return {
            "id": row["id"],
            "source": example.file,
            "image": name,
            "attack": self.cell.settings["name"],
            "settings": json.dumps(settings),
            "threat": self.cell.threat,
            "eps": self.cell.eps,
            "distance": row["saved_distance"],
            "label": self._called(row["label"]),
            **judged,
            "forwards": row["forwards"],
            "backwards": row["backwards"],
        }

    def _called(self, values: Sequence[float]) -> str:
        """A label or decision by name; findings that are present, joined by +."""
        classes = self.dataset.classes
        if self.dataset.kind == "multilabel":
            return "+".join(c for c, v in zip(classes, values, strict=True) if v == 1)
        return classes[int(values[0])]


def names_of(examples: Sequence[Example]) -> list[str]:
    """Where each image goes, by its id: images/mel/photo.png; the ending is kept where it alone tells two apart."""
    plain = [PurePosixPath(e.id) for e in examples]
    bare = [p.with_suffix("") if p.suffix.lower() in ENDINGS else p for p in plain]
    seen = Counter(bare)
    chosen = (b if seen[b] == 1 else p for p, b in zip(plain, bare, strict=True))
    return [str(PurePosixPath("images", *map(_component, c.parts))) + ".png" for c in chosen]


def _component(name: str) -> str:
    """A part of an id as a part of a path that stays inside the folder."""
    return quote(name, safe=" +()[],;=@") if name.strip(". ") else quote(name, safe="").replace(".", "%2E")


def png(image: Tensor, example: Example) -> bytes:
    """The image without loss, with what its source says of colours, resolution and itself."""
    pixels = (image * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    text, kept = PngInfo(), metadata(Path(example.file)) if example.file else {}
    for key, value in kept.pop("text", {}).items():
        text.add_text(key, value)
    if kept.get("icc_profile", b"")[16:20] != (b"GRAY" if len(image) == 1 else b"RGB "):
        kept.pop("icc_profile", None)  # a profile of colours means nothing to a grey image
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(file, format="PNG", pnginfo=text, **kept)
    return file.getvalue()


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{v:.6g}" for v in values)
