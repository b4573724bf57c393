"""Images attacked on a bare network, by one who knows of no defence: made once, kept as 8-bit pixels, shown to every purifier."""

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
from robustdx.models import DiagnosticModel, ModelSpec, Subject, load, still
from robustdx.tensors import Images, linf_norm
from robustdx.threats import Linf

DRIVEN: dict[str, dict[str, Any]] = {
    "pgd": {"name": "pgd", "steps": 20, "early_stop": False},
    "bim": {"name": "bim", "steps": 10, "early_stop": False},
    "smia": {"name": "smia", "steps": 10, "early_stop": False},
}
"""Driven to the end: the image is wrong by as much as can be had, which is what outlives a purifier."""
NEAREST: dict[str, dict[str, Any]] = {"cw": {"name": "cw", "steps": 30, "search_steps": 3}, "autoattack": {"name": "autoattack"}}
"""These stop where the bare network is just wrong: kind to every purifier, and in the papers' tables all the same."""
METHODS = DRIVEN | NEAREST
EVERY = (1, 2, 4, 8)
BUDGETS: dict[str, dict[str, tuple[int, ...]]] = {
    "resnet": dict.fromkeys(("pgd", "bim", "smia", "cw"), EVERY) | {"autoattack": (4, 8)},
    "regnet": {"pgd": EVERY, "autoattack": (8,)},
}
"""What is made on which network, in 255ths. AutoAttack costs seconds for each image that stands, and so has the largest only."""
TOGETHER = 64


def network(run: Path, source: str) -> DiagnosticModel:
    """The network of a run of `robustdx harden`, for these data."""
    data = load_dataset(source)
    return load(ModelSpec(source=str(run)), data.kind, data.classes).in_precision(torch.float32)


def photos(source: str, split: str, size: tuple[int, int]) -> Batch:
    """The images of a split, as the networks take them."""
    some = load_dataset(source).only(split)
    pixels, y = batch(some, range(len(some)), size, 3)
    ids, patients = tuple(e.id for e in some.examples), tuple(e.patient for e in some.examples)
    return Batch((pixels.float() / 255).contiguous(memory_format=torch.channels_last), y, ids, patients)


def parts(whole: Batch, together: int = TOGETHER) -> Iterator[Batch]:
    for start in range(0, len(whole.ids), together):
        yield whole.only(torch.arange(start, min(start + together, len(whole.ids))))


def attacked(model: DiagnosticModel, whole: Batch, method: str, eps: float, folder: Path, name: str) -> Images:
    """The images after an attack at eps / 255, from the folder where they are there.

    C&W looks for the nearest wrong image, whatever the budget: it is run at the largest one, and at a smaller one an image that
    lies farther away stays as it was.
    """
    if method == "cw" and eps < max(EVERY):
        found = attacked(model, whole, method, max(EVERY), folder, name)
        near = linf_norm(found - whole.x) <= (eps + 0.5) / 255
        return torch.where(near.view(-1, 1, 1, 1), found, whole.x)
    file = folder / f"{name}-{method}-{eps:g}.npy"
    if not file.is_file():
        pixels = (_made(model, whole, method, eps) * 255).round().to(torch.uint8).numpy()
        folder.mkdir(parents=True, exist_ok=True)
        np.save(unfinished := file.with_suffix(".part.npy"), pixels)
        unfinished.rename(file)
    return (torch.from_numpy(np.load(file)).float() / 255).contiguous(memory_format=torch.channels_last)


def _made(model: DiagnosticModel, whole: Batch, method: str, eps: float) -> Images:
    fast, found = model.in_precision(torch.bfloat16), []
    attack, threat = ATTACKS.parse(METHODS[method]), Linf(eps / 255)
    with still(model), still(fast):
        for part in parts(whole):
            found.append(attacked_rows(Subject(model, fast), part, clean_rows(model, part, 0), attack, threat, method, 0)[1])
    return torch.cat(found)
