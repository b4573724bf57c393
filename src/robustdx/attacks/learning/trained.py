"""The file of an attack that has learned: its weights, and in the file's own header what they were trained with and for.

The format is safetensors, which holds numbers and words and nothing that runs. An attack names its file and the file's
SHA-256, so that other weights under the same name are another attack.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from robustdx.attacks.protocol import Model
from robustdx.catalogue import build, dump
from robustdx.draws import Draws
from robustdx.errors import PlanError, WeightsError
from robustdx.store import refusing_disk_errors, replace_with
from robustdx.tensors import Images, Labels, per_image
from robustdx.threats import Masked, Threat, everywhere

log = logging.getLogger(__name__)

A = TypeVar("A")

USE = ("early_stop", "weights", "sha256")
"""Settings that say how weights are used; all others say how they were made, and are read from their file."""

HEADER = "robustdx"
"""Where the words stand in a safetensors file's metadata."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What weights were trained with and for, as their file says it."""

    attack: str
    """The attack that they belong to, as the catalogue calls it."""
    settings: Mapping[str, Any]
    """Its settings."""
    norm: str
    """The threat it was trained in: "linf", "l2"."""
    eps: float
    """Its budget, in pixel units."""
    size: tuple[int, ...]
    """Height and width of the images."""
    channels: int
    """Channels of the images: 1 or 3."""
    images: int
    """How many images it learned from."""
    robustdx: str = dataclasses.field(default_factory=lambda: version("robustdx"))
    """The version that trained it."""

    @classmethod
    def by(cls, attack: Any, name: str, threat: Threat, shape: tuple[int, int, int], images: int) -> Trained:
        """What an attack writes of itself; `shape` is the images' (channels, height, width)."""
        settings = {k: v for k, v in dump(attack).items() if k not in USE}
        return cls(attack=name, settings=settings, norm=norm(threat), eps=threat.eps, size=shape[1:], channels=shape[0], images=images)

    def require_images(self, x: Images, where: str) -> None:
        """Refuse images of another shape than those it learned from."""
        if tuple(x.shape[1:]) != (self.channels, *self.size):
            raise PlanError(
                f"{where} was trained for images of {self.size[0]}x{self.size[1]} with {self.channels} channels, got "
                f"{x.shape[2]}x{x.shape[3]} with {x.shape[1]}: train one with fit on images of this size"
            )

    def note_threat(self, threat: Threat, where: str) -> None:
        """Say in the log, once, that an attack is used in another threat than it learned for."""
        if norm(threat) != self.norm or abs(threat.eps - self.eps) > 1e-6 * self.eps:
            here, there = f"{norm(threat)} at eps {threat.eps:.6g}", f"{self.norm} at eps {self.eps:.6g}"
            _note(f"{where} was trained for {there}: its perturbation is scaled to {here}, where one trained for that may be stronger")


@dataclass(frozen=True, eq=False)
class Learned:
    """A file of weights that has been read and checked."""

    trained: Trained
    tensors: Mapping[str, Tensor]
    sha256: str


def write(out: str | Path | None, tensors: Mapping[str, Tensor], trained: Trained) -> tuple[str, str]:
    """Write weights whole or not at all, and say where and with which hash; without `out`, the hash is in the file's name.

    Raises:
        RunError: the disk refuses.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    content = safetensors.torch.save(plain, {HEADER: json.dumps(dump(trained), sort_keys=True)})
    found = sha256(content).hexdigest()
    path = Path(out) if out is not None else Path(f"{trained.attack}-{found[:12]}.safetensors")
    with refusing_disk_errors(path):
        replace_with(path, lambda p: p.write_bytes(content))
    return str(path), found


def adopt(attack: Any, name: str) -> None:
    """Give an attack that names weights the settings that they were trained with, and their hash.

    Raises:
        PlanError: weights of another attack, or a setting that differs from what they were trained with.
        WeightsError: a file that cannot be read as weights, or another one than the hash says.
    """
    if attack.weights is None:
        if attack.sha256 is not None:
            raise PlanError(f"{name}: expected weights beside sha256, got none: give weights = FILE")
        return
    learned = read(attack.weights, name, attack.sha256)
    made = build(type(attack), learned.trained.settings, where=attack.weights)
    for field in (f for f in dataclasses.fields(attack) if f.name not in USE):
        asked, was = getattr(attack, field.name), getattr(made, field.name)
        if asked not in (field.default, was):
            raise PlanError(
                f"{attack.weights} was trained with {field.name} = {was!r}, got {field.name} = {asked!r}: leave it out, or train another"
            )
        object.__setattr__(attack, field.name, was)
    object.__setattr__(attack, "sha256", learned.sha256)


def norm(threat: Threat) -> str:
    """What a threat measures by: "linf", "l2"."""
    return type(everywhere(threat)).__name__.lower()


def require_budget(threat: Threat) -> None:
    """Refuse to learn for a budget of 0, or for regions that belong to the images of one batch."""
    if isinstance(threat, Masked):
        raise PlanError(
            "an attack learns for whole images, got a threat to a region of each: train it in the threat itself, and attack in this"
        )
    if not threat.eps > 0:
        raise PlanError("expected an eps above 0 to learn for, got 0, where every attack gives the image back: give one like 8/255")


def require_weights(weights: str | None, name: str) -> str:
    """Refuse an attack that has not learned anything yet."""
    if weights is None:
        raise PlanError(
            f'{name} has to be trained before it can attack: train one with fit(model, data, threat, draws) and give weights = "FILE"'
        )
    return weights


def shown(model: Model, x: Images, y: Labels, threat: Threat, draws: Draws, change: Images, *, early_stop: bool) -> Images:
    """x with its change, inside the threat; with early stop, x itself where every decision on it is wrong already."""
    x_adv = threat.project(x + change, x)
    if threat.eps == 0 or not early_stop:
        return x.clone() if threat.eps == 0 else x_adv
    with torch.no_grad():
        beaten = model.task.errors(model.exact(x, draws), y) == 1
    return torch.where(per_image(beaten, x), x, x_adv)


def read(weights: str, name: str, sha: str | None = None) -> Learned:
    """The weights in a file, which must be those of the attack `name`, and the ones with this hash where it is given."""
    path = Path(weights)
    try:
        stat = path.stat()
        learned = _read(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise PlanError(
            f"cannot read {weights} ({error.strerror}): train one with fit(model, data, threat, draws), or check the path"
        ) from None
    if sha is not None and sha != learned.sha256:
        raise WeightsError(f"{weights}: expected the weights with sha256 {sha[:12]}..., got {learned.sha256[:12]}...: the file has changed")
    if learned.trained.attack != name:
        raise PlanError(f"{weights} holds the weights of {learned.trained.attack}, not of {name}: name that attack, or give other weights")
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
        raise WeightsError(f"{path} holds weights, but does not say of which attack: give one that fit has written")
    broken = [name for name, value in tensors.items() if not bool(value.float().isfinite().all())]
    if broken:
        raise WeightsError(f"{path}: {broken[0]} holds NaN or infinite values: train it again")
    return Learned(_words(words, str(path)), tensors, sha256(content).hexdigest())


def _words(text: str, where: str) -> Trained:
    """The header as what it says, checked: a file may come from anywhere."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{where}: its header is not what fit writes ({error}): train it again") from None
    trained = build(Trained, found, where=where)
    if len(trained.size) != 2 or min(*trained.size, trained.channels) < 1 or not 0 < trained.eps < float("inf"):
        raise WeightsError(
            f"{where}: expected a size of two sides, channels and an eps above 0, got size {list(trained.size)}, "
            f"{trained.channels} channels and eps {trained.eps:g}: train it again"
        )
    odd = set(USE) & set(trained.settings)
    if odd:
        raise WeightsError(f"{where}: its header sets {min(odd)}, which is not a file's to say: train it again")
    return trained


@lru_cache(maxsize=64)
def _note(sentence: str) -> None:
    log.warning("%s", sentence)
