"""What a detector has learned of clean images: a few tensors in a file as `models.learned` tells."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from robustdx.data import Dataset
from robustdx.data.batches import batch
from robustdx.draws import Draws
from robustdx.errors import DataError, PlanError
from robustdx.models import DiagnosticModel
from robustdx.models.learned import Learned, read, settings, write
from robustdx.tensors import Images, Labels

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many of how many images have been seen."""

USE = ("weights", "sha256")
"""Settings that say where the statistics are; all others say how they were made, and are read from their file."""
BATCH = 32


def batches(model: DiagnosticModel, data: Dataset, draws: Draws, progress: Progress | None) -> Iterator[tuple[Images, Labels, Draws]]:
    """The images to learn from, batch by batch, as the model takes them; nothing is learned of one twice.

    Raises:
        DataError: there are none.
    """
    if not len(data):
        raise DataError(f"{data.name}: expected clean images for a detector to learn from, found none: check the path and the split")
    step = BATCH if model.size is not None and not model.resize else 1
    for start in range(0, len(data), step):
        indices = range(start, min(start + step, len(data)))
        pixels, y = batch(data, indices, None if model.resize else model.size, model.channels)
        ids = tuple(data.examples[i].id for i in indices)
        yield pixels.to(model.mean.device).float() / 255, y, Draws(draws.seed, ids, draws.path)
        if progress is not None:
            progress("learning clean images", indices[-1] + 1, len(data))


def save(detector: Any, name: str, tensors: Mapping[str, Tensor], out: str | Path | None) -> Any:
    """The detector with its statistics, written whole or not at all; without `out`, the hash is in the file's name.

    Raises:
        RunError: the disk refuses.
    """
    words = {"detector": name, "settings": settings(detector, USE)}
    path, sha256 = write(out, name, {key: value.float() for key, value in tensors.items()}, words)
    return dataclasses.replace(detector, weights=path, sha256=sha256)


def statistics(detector: Any, name: str, device: torch.device) -> Mapping[str, Tensor]:
    """What a detector has learned, on a device.

    Raises:
        PlanError: it has learned nothing yet.
    """
    if detector.weights is None:
        raise PlanError(f'{name} has to see clean images first: fit it with fit(model, data, draws), or give weights = "FILE"')
    return _at(read(detector.weights, "detector", name, detector.sha256), device)


@lru_cache(maxsize=8)
def _at(found: Learned, device: torch.device) -> Mapping[str, Tensor]:
    return {key: value.to(device) for key, value in found.tensors.items()}


def require_width(found: Tensor, wanted: int, where: str | None) -> None:
    """Refuse features of another length than those that were learned."""
    if found.shape[1] != wanted:
        raise PlanError(f"{where} was fitted to {wanted} features, the network has {found.shape[1]}: fit one to this network")


def spread(scores: Tensor) -> Tensor:
    """Mean and standard deviation of the scores of clean images, (2,), so that layers can be added."""
    return torch.stack((scores.mean(), scores.std(correction=0).clamp_min(1e-6)))


def summed(scores: list[Tensor], spreads: list[Tensor]) -> Tensor:
    """The mean over layers of each layer's score, in standard deviations of clean images."""
    return torch.stack([(s - mean) / deviation for s, (mean, deviation) in zip(scores, spreads, strict=True)]).mean(0)
