"""Images attacked on a bare network, by one who does not know of any defence: made once, kept as 8-bit pixels, shown to every purifier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robustdx.attacks import ATTACKS
from robustdx.auditing.cell import Batch, attacked_rows, clean_rows
from robustdx.data import load_dataset
from robustdx.data.batches import batch
from robustdx.data.split import subset
from robustdx.models import DiagnosticModel, ModelSpec, Subject, load, still
from robustdx.tensors import Images
from robustdx.threats import Linf

DRIVEN: dict[str, dict[str, Any]] = {
    "pgd": {"name": "pgd", "steps": 20, "early_stop": False},
    "bim": {"name": "bim", "steps": 10, "early_stop": False},
    "smia": {"name": "smia", "steps": 10, "early_stop": False},
}
"""Driven to the end: the image is wrong by as much as can be had, which is what outlives a purifier."""
NEAREST: dict[str, dict[str, Any]] = {"cw": {"name": "cw"}, "autoattack": {"name": "autoattack"}}
"""These stop where the bare network is just wrong: kind to every purifier, and in the papers' tables all the same."""
METHODS = DRIVEN | NEAREST
BUDGETS = {"pgd": (1, 2, 4, 8), "bim": (1, 2, 4, 8), "smia": (1, 2, 4, 8), "cw": (2, 8), "autoattack": (2, 4, 8)}
"""In 255ths."""
TOGETHER = 64


def network(run: Path, source: str) -> DiagnosticModel:
    """The network of a run of `robustdx harden`, for these data."""
    data = load_dataset(source)
    return load(ModelSpec(source=str(run)), data.kind, data.classes)


def photos(source: str, split: str, images: int, size: tuple[int, int]) -> Batch:
    """Images of whole lesions, drawn by lesion with seed 0, as the networks take them."""
    some = subset(load_dataset(source).only(split), images, 0)
    places = range(min(images, len(some)))
    pixels, y = batch(some, places, size, 3)
    chosen = [some.examples[i] for i in places]
    return Batch(pixels.float() / 255, y, tuple(e.id for e in chosen), tuple(e.patient for e in chosen))


def parts(whole: Batch, together: int = TOGETHER) -> Iterator[Batch]:
    for start in range(0, len(whole.ids), together):
        yield whole.only(torch.arange(start, min(start + together, len(whole.ids))))


def attacked(model: DiagnosticModel, whole: Batch, method: str, eps: float, file: Path) -> Images:
    """The images after an attack at eps / 255, from the file where they are there."""
    if not file.is_file():
        fast = model.in_precision(torch.bfloat16)
        found = []
        with still(model), still(fast):
            for part in parts(whole):
                clean = clean_rows(model, part, 0)
                subject = Subject(model, fast)
                found.append(attacked_rows(subject, part, clean, ATTACKS.parse(METHODS[method]), Linf(eps / 255), method, 0)[1])
        pixels = (torch.cat(found) * 255).round().to(torch.uint8).numpy()
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(unfinished := file.with_suffix(".part.npy"), pixels)
        unfinished.rename(file)
    return torch.from_numpy(np.load(file)).float() / 255
