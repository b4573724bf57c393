"""The file of a purifier that has learned: its weights, and in the file's own header what they were trained with.

The format is safetensors, which holds numbers and words and nothing that runs. A purifier names its file and the file's
SHA-256, so that other weights under the same name are another purifier.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from robustdx.catalogue import build, dump
from robustdx.errors import ImageError, PlanError, WeightsError
from robustdx.models.weights import require_names, require_shapes
from robustdx.purifiers.learning.unet import UNet
from robustdx.store import refusing_disk_errors, replace_with
from robustdx.tensors import Images

HEADER = "robustdx"
"""Where the words stand in a safetensors file's metadata."""


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What weights were trained with, as their file says it."""

    purifier: str
    """The purifier that they belong to, as the catalogue calls it."""
    settings: Mapping[str, Any]
    """Its settings."""
    size: tuple[int, ...]
    """Height and width of the images that it learned from."""
    channels: int
    """Channels of the images."""
    images: int
    """How many images it learned from."""
    robustdx: str = dataclasses.field(default_factory=lambda: version("robustdx"))
    """The version that trained it."""


@dataclass(frozen=True, eq=False)
class Learned:
    """A file of weights that has been read and checked."""

    taught: Taught
    tensors: Mapping[str, Tensor]
    sha256: str


def write(out: str | Path | None, tensors: Mapping[str, Tensor], taught: Taught) -> tuple[str, str]:
    """Write weights whole or not at all, and say where and with which hash; without `out`, the hash is in the file's name.

    Raises:
        RunError: the disk refuses.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    content = safetensors.torch.save(plain, {HEADER: json.dumps(dump(taught), sort_keys=True)})
    found = sha256(content).hexdigest()
    path = Path(out) if out is not None else Path(f"{taught.purifier}-{found[:12]}.safetensors")
    with refusing_disk_errors(path):
        replace_with(path, lambda p: p.write_bytes(content))
    return str(path), found


def settings(purifier: Any) -> dict[str, Any]:
    """The settings of a purifier that made its weights: all but those that say how they are used."""
    return {k: v for k, v in dump(purifier).items() if k not in purifier.USE}


def adopt(purifier: Any, name: str) -> None:
    """Give a purifier that names weights the settings that they were trained with, and their hash.

    Raises:
        PlanError: weights of another purifier, or a setting that differs from what they were trained with.
        WeightsError: a file that cannot be read as weights, or another one than the hash says.
    """
    if purifier.weights is None:
        if purifier.sha256 is not None:
            raise PlanError(f"{name}: expected weights beside sha256, got none: give weights = FILE")
        return
    learned = read(purifier.weights, name, purifier.sha256)
    odd = set(purifier.USE) & set(learned.taught.settings)
    if odd:
        raise WeightsError(f"{purifier.weights}: its header sets {min(odd)}, which is not a file's to say: train it again")
    made = build(type(purifier), learned.taught.settings, where=purifier.weights)
    for field in (f for f in dataclasses.fields(purifier) if f.name not in purifier.USE):
        asked, was = getattr(purifier, field.name), getattr(made, field.name)
        if asked not in (field.default, was):
            raise PlanError(
                f"{purifier.weights} was trained with {field.name} = {was!r}, got {field.name} = {asked!r}: leave it out, or train another"
            )
        object.__setattr__(purifier, field.name, was)
    object.__setattr__(purifier, "sha256", learned.sha256)


def network(purifier: Any, name: str, x: Images, *, timed: bool) -> UNet:
    """The network of a purifier, ready for these images.

    Raises:
        PlanError: no weights.
        ImageError: images with other channels than it learned from.
        WeightsError: weights that are missing, left over or of another shape than the header says.
    """
    if purifier.weights is None:
        raise PlanError(
            f'{name} has to be trained before it can purify: train one with fit(data, draws, size=...) and give weights = "FILE"'
        )
    learned = read(purifier.weights, name, purifier.sha256)
    if x.shape[1] != learned.taught.channels:
        raise ImageError(
            f"{purifier.weights} was trained for images with {learned.taught.channels} channels, got {x.shape[1]}: train another"
        )
    return _network(purifier.weights, name, learned.sha256, purifier.width, timed, x.device, x.dtype)


@lru_cache(maxsize=4)
def _network(weights: str, name: str, sha: str, width: int, timed: bool, device: torch.device, dtype: torch.dtype) -> UNet:
    learned = read(weights, name, sha)
    with torch.device("meta"):  # nothing is allocated before the shapes are known to be those of the file
        net = UNet(learned.taught.channels, width, timed)
    state, wanted = learned.tensors, net.state_dict()
    require_names([k for k in wanted if k not in state], [k for k in state if k not in wanted], weights)
    require_shapes({k: (tuple(v.shape), tuple(state[k].shape)) for k, v in wanted.items()}, weights)
    net.load_state_dict({k: state[k].to(device, dtype) for k in wanted}, assign=True)
    return net.requires_grad_(False).eval()


def read(weights: str, name: str, sha: str | None = None) -> Learned:
    """The weights in a file, which must be those of the purifier `name`, and the ones with this hash where it is given."""
    path = Path(weights)
    try:
        stat = path.stat()
        learned = _read(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise PlanError(
            f"cannot read the weights {weights} ({error.strerror}): train some with fit(data, draws, size), or check the path"
        ) from None
    if sha is not None and sha != learned.sha256:
        raise WeightsError(f"{weights}: expected the weights with sha256 {sha[:12]}..., got {learned.sha256[:12]}...: the file has changed")
    if learned.taught.purifier != name:
        raise PlanError(f"{weights} holds the weights of {learned.taught.purifier}, not of {name}: name that one, or give other weights")
    return learned


@lru_cache(maxsize=8)
def _read(path: Path, changed: int, length: int) -> Learned:
    """The file at `path`, read once for as long as it does not change."""
    content = path.read_bytes()
    try:
        tensors = safetensors.torch.load(content)
    except SafetensorError as error:
        raise WeightsError(f"{path} is no safetensors file, or a damaged one ({error}): give one that fit has written") from None
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])  # load has seen that it is sound
    words = header.get("__metadata__", {}).get(HEADER)
    if words is None:
        raise WeightsError(f"{path} holds weights, but does not say of which purifier: give one that fit has written")
    broken = [name for name, value in tensors.items() if not bool(value.float().isfinite().all())]
    if broken:
        raise WeightsError(f"{path}: {broken[0]} holds NaN or infinite values: train it again")
    try:
        found = json.loads(words)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its header is not what fit writes ({error}): train it again") from None
    if isinstance(found, dict) and "purifier" not in found:
        raise WeightsError(f"{path} holds weights of something that is no purifier: give one that a purifier's fit has written")
    return Learned(build(Taught, found, where=str(path)), tensors, sha256(content).hexdigest())
