"""What a detector has learned of clean images: a few tensors in a file whose header says what they were made with.

The format is safetensors, which holds numbers and words and nothing that runs. A detector names its file and the file's SHA-256, so
that other statistics under the same name are another detector.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from robustdx.catalogue import build, dump
from robustdx.data import Dataset
from robustdx.data.batches import batch
from robustdx.draws import Draws
from robustdx.errors import DataError, PlanError, WeightsError
from robustdx.models import DiagnosticModel
from robustdx.store import refusing_disk_errors, replace_with
from robustdx.tensors import Images, Labels

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many of how many images have been seen."""

USE = ("weights", "sha256")
"""Settings that say where the statistics are; all others say how they were made, and are read from their file."""
HEADER = "robustdx"
BATCH = 32


def lessons(model: DiagnosticModel, data: Dataset, draws: Draws, progress: Progress | None) -> Iterator[tuple[Images, Labels, Draws]]:
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


def write(detector: Any, name: str, tensors: Mapping[str, Tensor], out: str | Path | None) -> Any:
    """The detector with its statistics, written whole or not at all; without `out`, the hash is in the file's name.

    Raises:
        RunError: the disk refuses.
    """
    settings = {k: v for k, v in dump(detector).items() if k not in USE}
    plain = {key: value.detach().float().cpu().contiguous() for key, value in tensors.items()}
    content = safetensors.torch.save(plain, {HEADER: json.dumps({"detector": name, "settings": settings}, sort_keys=True)})
    found = sha256(content).hexdigest()
    path = Path(out) if out is not None else Path(f"{name}-{found[:12]}.safetensors")
    with refusing_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_with(path, lambda p: p.write_bytes(content))
    return dataclasses.replace(detector, weights=str(path), sha256=found)


def adopt(detector: Any, name: str) -> None:
    """Give a detector that names its file the settings that it was made with, and its hash.

    Raises:
        PlanError: a file of another detector, or a setting that differs from what it was made with.
        WeightsError: a file that cannot be read as one, or another one than the hash says.
    """
    if detector.weights is None:
        if detector.sha256 is not None:
            raise PlanError(f"{name}: expected weights beside sha256, got none: give weights = FILE")
        return
    words, _, sha = _file(detector, name)
    made = build(type(detector), words["settings"], where=detector.weights)
    for field in (f for f in dataclasses.fields(detector) if f.name not in USE):
        asked, was = getattr(detector, field.name), getattr(made, field.name)
        if asked not in (field.default, was):
            raise PlanError(
                f"{detector.weights} was made with {field.name} = {was!r}, got {field.name} = {asked!r}: leave it out, or fit another"
            )
        object.__setattr__(detector, field.name, was)
    object.__setattr__(detector, "sha256", sha)


def learned(detector: Any, name: str, device: torch.device) -> Mapping[str, Tensor]:
    """The statistics of a detector, on a device.

    Raises:
        PlanError: it has learned nothing yet.
    """
    if detector.weights is None:
        raise PlanError(f'{name} has to see clean images first: fit it with fit(model, data, draws), or give weights = "FILE"')
    return _at(_file(detector, name)[1], device)


class _Tensors(dict):
    """A dictionary that can be told apart by what it is, not by what is in it."""

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__


@lru_cache(maxsize=8)
def _at(tensors: _Tensors, device: torch.device) -> Mapping[str, Tensor]:
    return {key: value.to(device) for key, value in tensors.items()}


def _file(detector: Any, name: str) -> tuple[dict[str, Any], _Tensors, str]:
    """What the header says, the tensors, and the hash, checked against what the detector says of its file."""
    path = Path(detector.weights)
    try:
        stat = path.stat()
        words, tensors, sha = _read(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise PlanError(f"cannot read {path} ({error.strerror}): fit one with fit(model, data, draws), or check the path") from None
    if detector.sha256 is not None and detector.sha256 != sha:
        raise WeightsError(f"{path}: expected the file with sha256 {detector.sha256[:12]}..., got {sha[:12]}...: the file has changed")
    if words["detector"] != name:
        raise PlanError(f"{path} belongs to {words['detector']}, not to {name}: name that detector, or give another file")
    return words, tensors, sha


@lru_cache(maxsize=8)
def _read(path: Path, changed: int, length: int) -> tuple[dict[str, Any], _Tensors, str]:
    """The file at `path`, read once for as long as it does not change."""
    content = path.read_bytes()
    try:
        tensors = _Tensors(safetensors.torch.load(content))
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        words = json.loads(header.get("__metadata__", {}).get(HEADER, "null"))
    except (SafetensorError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is no safetensors file, or a damaged one ({error}): give one that fit has written") from None
    if not isinstance(words, dict) or not isinstance(words.get("detector"), str) or not isinstance(words.get("settings"), dict):
        raise WeightsError(f"{path} holds tensors, but does not say of which detector: give one that fit has written")
    broken = [key for key, value in tensors.items() if not bool(value.isfinite().all())]
    if broken or set(USE) & set(words["settings"]):
        raise WeightsError(f"{path}: {broken[0] if broken else 'its header'} is not what fit writes: fit it again")
    return words, tensors, sha256(content).hexdigest()


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
