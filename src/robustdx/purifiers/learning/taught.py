"""The weights of a purifier that has learned (a file as `models.learned` tells), and its network with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robustdx.catalogue import build, dump
from robustdx.errors import ImageError, PlanError
from robustdx.models import learned
from robustdx.models.weights import require_names, require_shapes
from robustdx.purifiers.learning.unet import UNet
from robustdx.tensors import Images


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


def save(purifier: Any, name: str, network: nn.Module, shape: tuple[int, int, int], images: int, out: str | Path | None) -> Any:
    """The purifier with what `network` has learned of images of `shape` (channels, height, width), written whole or not at all.

    Raises:
        RunError: the disk refuses.
    """
    made = learned.settings(purifier, purifier.USE)
    about = Taught(purifier=name, settings=made, size=shape[1:], channels=shape[0], images=images)
    weights, sha256 = learned.write(out, name, network.state_dict(), dump(about))
    return dataclasses.replace(purifier, weights=weights, sha256=sha256)


def adopt(purifier: Any, name: str) -> None:
    """Give a purifier that names weights the settings that they were trained with, and their hash.

    Raises:
        PlanError: weights of another purifier, or a setting that differs from what they were trained with.
        WeightsError: a file that cannot be read as weights, or another one than the hash says.
    """
    learned.adopt(purifier, "purifier", name, purifier.USE)


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
    found = learned.read(purifier.weights, "purifier", name, purifier.sha256)
    about = build(Taught, found.words, where=purifier.weights)
    if x.shape[1] != about.channels:
        raise ImageError(f"{purifier.weights} was trained for images with {about.channels} channels, got {x.shape[1]}: train another")
    return _network(purifier.weights, name, found.sha256, about.channels, purifier.width, timed, x.device, x.dtype)


@lru_cache(maxsize=4)
def _network(weights: str, name: str, sha: str, channels: int, width: int, timed: bool, device: torch.device, dtype: torch.dtype) -> UNet:
    with torch.device("meta"):  # nothing is allocated before the shapes are known to be those of the file
        net = UNet(channels, width, timed)
    state, wanted = learned.read(weights, "purifier", name, sha).tensors, net.state_dict()
    require_names([k for k in wanted if k not in state], [k for k in state if k not in wanted], weights)
    require_shapes({k: (tuple(v.shape), tuple(state[k].shape)) for k, v in wanted.items()}, weights)
    net.load_state_dict({k: state[k].to(device, dtype) for k in wanted}, assign=True)
    return net.requires_grad_(False).eval()
