"""The weights of an attack that has learned (a file as `models.learned` tells), and what they were trained for."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from robustdx.attacks.protocol import Model
from robustdx.catalogue import build, dump
from robustdx.draws import Draws
from robustdx.errors import PlanError, WeightsError
from robustdx.models import learned
from robustdx.tensors import Images, Labels, per_image
from robustdx.threats import Masked, Threat, everywhere

log = logging.getLogger(__name__)

USE = ("early_stop", "weights", "sha256")
"""Settings that say how weights are used; all others say how they were made, and are read from their file."""


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
        made = learned.settings(attack, USE)
        return cls(attack=name, settings=made, norm=norm(threat), eps=threat.eps, size=shape[1:], channels=shape[0], images=images)

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
class Weights:
    """The weights of an attack, read and checked."""

    trained: Trained
    tensors: Mapping[str, Tensor]


def write(out: str | Path | None, tensors: Mapping[str, Tensor], trained: Trained) -> tuple[str, str]:
    """Write weights whole or not at all, and say where and with which hash; without `out`, the hash is in the file's name.

    Raises:
        RunError: the disk refuses.
    """
    return learned.write(out, trained.attack, tensors, dump(trained))


def adopt(attack: Any, name: str) -> None:
    """Give an attack that names weights the settings that they were trained with, and their hash.

    Raises:
        PlanError: weights of another attack, or a setting that differs from what they were trained with.
        WeightsError: a file that cannot be read as weights, or another one than the hash says.
    """
    learned.adopt(attack, "attack", name, USE)
    if attack.weights is not None:
        read(attack.weights, name, attack.sha256)


def read(weights: str, name: str, sha: str | None = None) -> Weights:
    """The weights in a file, which must be those of the attack `name`, and the ones with this hash where it is given."""
    found = learned.read(weights, "attack", name, sha)
    trained = build(Trained, found.words, where=weights)
    if len(trained.size) != 2 or min(*trained.size, trained.channels) < 1 or not 0 < trained.eps < float("inf"):
        raise WeightsError(
            f"{weights}: expected a size of two sides, channels and an eps above 0, got size {list(trained.size)}, "
            f"{trained.channels} channels and eps {trained.eps:g}: train it again"
        )
    return Weights(trained, found.tensors)


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


@lru_cache(maxsize=64)
def _note(sentence: str) -> None:
    log.warning("%s", sentence)
