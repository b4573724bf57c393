"""The file of a method that has learned: its weights, and in the file's own header what they were trained with.

The format is safetensors, which holds numbers and words and nothing that runs. A method names its file and the file's SHA-256, so
that other weights under the same name are another method. Attacks, purifiers and detectors that learn all keep theirs so.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from robustdx.catalogue import build, dump
from robustdx.errors import PlanError, WeightsError
from robustdx.store import refusing_disk_errors, replace_with

HEADER = "robustdx"
"""Where the words stand in a safetensors file's metadata."""


@dataclass(frozen=True, eq=False)
class Learned:
    """A file of weights that has been read and checked."""

    words: Mapping[str, Any]
    """What the header says: the method's name under its kind ("attack", "purifier", "detector"), its `settings`, and more."""
    tensors: Mapping[str, Tensor]
    sha256: str


def settings(method: Any, use: Sequence[str]) -> dict[str, Any]:
    """The settings that made the weights: all but those in `use`, which say how they are used."""
    return {k: v for k, v in dump(method).items() if k not in use}


def write(out: str | Path | None, name: str, tensors: Mapping[str, Tensor], words: Mapping[str, Any]) -> tuple[str, str]:
    """Write weights whole or not at all, and say where and with which hash; without `out`, the hash is in the file's name.

    Raises:
        RunError: the disk refuses.
    """
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    content = safetensors.torch.save(plain, {HEADER: json.dumps(words, sort_keys=True)})
    found = sha256(content).hexdigest()
    path = Path(out) if out is not None else Path(f"{name}-{found[:12]}.safetensors")
    with refusing_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_with(path, lambda p: p.write_bytes(content))
    return str(path), found


def adopt(method: Any, kind: str, name: str, use: Sequence[str]) -> None:
    """Give a method that names weights the settings that they were trained with, and their hash.

    Raises:
        PlanError: weights of another method, or a setting that differs from what they were trained with.
        WeightsError: a file that cannot be read as weights, or another one than the hash says.
    """
    if method.weights is None:
        if method.sha256 is not None:
            raise PlanError(f"{name}: expected weights beside sha256, got none: give weights = FILE")
        return
    learned = read(method.weights, kind, name, method.sha256)
    odd = set(use) & set(learned.words["settings"])
    if odd:
        raise WeightsError(f"{method.weights}: its header sets {min(odd)}, which is not a file's to say: train it again")
    made = build(type(method), learned.words["settings"], where=method.weights)
    for field in (f for f in dataclasses.fields(method) if f.name not in use):
        asked, was = getattr(method, field.name), getattr(made, field.name)
        if asked not in (field.default, was):
            raise PlanError(
                f"{method.weights} was trained with {field.name} = {was!r}, got {field.name} = {asked!r}: leave it out, or train another"
            )
        object.__setattr__(method, field.name, was)
    object.__setattr__(method, "sha256", learned.sha256)


def read(weights: str, kind: str, name: str, sha: str | None = None) -> Learned:
    """The weights in a file, which must be those of the method `name`, and the ones with this hash where it is given."""
    path = Path(weights)
    try:
        stat = path.stat()
        learned = _read(path, kind, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise PlanError(f"cannot read the weights {weights} ({error.strerror}): train the {kind} with its fit, or check the path") from None
    if sha is not None and sha != learned.sha256:
        raise WeightsError(f"{weights}: expected the weights with sha256 {sha[:12]}..., got {learned.sha256[:12]}...: the file has changed")
    if learned.words[kind] != name:
        raise PlanError(f"{weights} holds the weights of {learned.words[kind]}, not of {name}: name that {kind}, or give other weights")
    return learned


@lru_cache(maxsize=8)
def _read(path: Path, kind: str, changed: int, length: int) -> Learned:
    """The file at `path`, read once for as long as it does not change."""
    content = path.read_bytes()
    try:
        tensors = safetensors.torch.load(content)
    except SafetensorError as error:
        raise WeightsError(f"{path} is no safetensors file, or a damaged one ({error}): give one that fit has written") from None
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])  # load has seen that it is sound
    words = _words(header.get("__metadata__", {}).get(HEADER), kind, path)
    broken = [key for key, value in tensors.items() if not bool(value.float().isfinite().all())]
    if broken:
        raise WeightsError(f"{path}: {broken[0]} holds NaN or infinite values: train it again")
    return Learned(words, tensors, sha256(content).hexdigest())


def _words(text: str | None, kind: str, path: Path) -> Mapping[str, Any]:
    """The header as what it says; a file may come from anywhere."""
    if text is None:
        raise WeightsError(f"{path} holds weights, but does not say of which {kind}: give one that fit has written")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its header is not what fit writes ({error}): train it again") from None
    if not isinstance(found, dict) or not isinstance(found.get(kind), str) or not isinstance(found.get("settings"), dict):
        raise WeightsError(f"{path} does not say of which {kind} its weights are, and with which settings: give one that fit has written")
    return found
