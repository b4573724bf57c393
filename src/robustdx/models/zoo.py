"""Networks by name: timm's, torchvision's and the papers' own. Weights are never fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import timm
import torchvision
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn

from robustdx.catalogue import unknown
from robustdx.errors import ModelError
from robustdx.models.attnmel import AttnMel
from robustdx.models.chexnet import CheXNet
from robustdx.models.cnn import CNN
from robustdx.models.spec import Config, Source

FROM_SIZE = {"vit_": "image_size", "maxvit_": "input_size"}
"""torchvision's networks that are built for one size of image, and what they call it."""


def named(source: str, size: tuple[int, int] | None, channels: int) -> Source:
    """The network that `timm:NAME`, `torchvision:NAME`, `cnn`, `attnmel`, `attnmel:sigmoid` or `chexnet` names, for images of this size.

    Raises:
        ModelError: no such network; the nearest is named.
    """
    library, _, name = source.partition(":")
    return LIBRARIES[library](name, size, channels)


def timm_network(name: str, size: tuple[int, int] | None, channels: int, settings: Mapping[str, Any] | None = None) -> Source:
    """One of timm's networks; mean, std and size are those of its published weights."""
    if not timm.is_model(name):
        raise ModelError(_unknown("timm network", name, timm.list_models()))
    facts = timm.get_pretrained_cfg(name)
    config = timm_config(facts.to_dict() if facts else {})
    resized = {"img_size": size} if size not in (None, config.size) else {}

    def build(outputs: int) -> nn.Module:
        given = {**(settings or {}), "num_classes": outputs, "in_chans": channels}
        return _made(f"timm:{name}", lambda: _taking(lambda extra: timm.create_model(name, **given, **extra), resized))

    return Source(config, build)


def timm_config(facts: Mapping[str, Any]) -> Config:
    """What timm's `pretrained_cfg` says."""
    size, names = facts.get("input_size"), facts.get("label_names")
    mean, std = facts.get("mean"), facts.get("std")
    return Config(
        size=(int(size[1]), int(size[2])) if size else None,
        mean=tuple(mean) if mean else None,
        std=tuple(std) if std else None,
        classes=tuple(map(str, names)) if names else None,
    )


def torchvision_network(name: str, size: tuple[int, int] | None, channels: int) -> Source:
    """One of torchvision's classifiers; mean, std and size are those of its default weights.

    Deviation: torchvision's own Inception v3 and GoogLeNet, made with pretrained weights, scale their input a second time
    (`transform_input`), which a state dict does not tell. Networks trained from those need mean 0.5 and std 0.5.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise ModelError(_unknown("torchvision classifier", name, known))
    if channels != 3:
        raise ModelError(
            f"torchvision's networks take 3 channels, mean and std have {channels}: give three values each (grey images are read as colour)"
        )
    facts = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    config = Config(size=(facts.crop_size[0], facts.crop_size[0]), mean=tuple(facts.mean), std=tuple(facts.std))
    word = next((word for start, word in FROM_SIZE.items() if name.startswith(start)), None)
    resized = {word: size if word == "input_size" else _square(name, size)} if word and size and size != config.size else {}
    quiet = {"init_weights": True} if name in ("inception_v3", "googlenet") else {}

    def build(outputs: int) -> nn.Module:
        return _made(
            f"torchvision:{name}", lambda: torchvision.models.get_model(name, weights=None, num_classes=outputs, **quiet, **resized)
        )

    return Source(config, build)


def _cnn(name: str, size: tuple[int, int] | None, channels: int) -> Source:
    if name:
        raise ModelError(f"the network is called cnn, got cnn:{name}: leave out what follows")
    return Source(Config(), lambda outputs: CNN(outputs, channels=channels))


def _attnmel(name: str, size: tuple[int, int] | None, channels: int) -> Source:
    if channels != 3:
        raise ModelError(f"attnmel takes 3 channels, mean and std have {channels}: give three values each")
    if name not in ("", "sigmoid"):
        raise ModelError(f"expected attnmel or attnmel:sigmoid (normalize_attn=False), got attnmel:{name}")
    return Source(Config(size=(224, 224)), lambda outputs: AttnMel(outputs, normalize_attn=not name))


def _chexnet(name: str, size: tuple[int, int] | None, channels: int) -> Source:
    if channels != 3:
        raise ModelError(f"chexnet takes 3 channels, mean and std have {channels}: give three values each")
    if name:
        raise ModelError(f"the network is called chexnet, got chexnet:{name}: leave out what follows")
    config = Config(size=(224, 224), mean=IMAGENET_DEFAULT_MEAN, std=IMAGENET_DEFAULT_STD, outputs="probabilities")
    return Source(config, CheXNet)


def _taking(make: Callable[[Mapping[str, Any]], nn.Module], extra: Mapping[str, Any]) -> nn.Module:
    """Make a network with a setting that only some constructors know."""
    try:
        return make(extra)
    except TypeError as error:
        if not any(word in str(error) for word in extra):
            raise
        return make({})


def _made(source: str, make: Callable[[], nn.Module]) -> nn.Module:
    try:
        return make()
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ModelError(f"{source} cannot be made for this size and number of channels ({error}): give another size") from None


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """The sentence for a name that does not exist: the nearest that does, or one of the many for an example."""
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return (
        unknown(kind, name, dict.fromkeys(near))
        if near
        else f"there is no {kind} named {name!r}: give one of its {len(known)}, like resnet18"
    )


def _square(name: str, size: tuple[int, int]) -> int:
    if size[0] != size[1]:
        raise ModelError(f"torchvision:{name} takes square images, got size {size[0]} x {size[1]}: give one number")
    return size[0]


LIBRARIES: dict[str, Callable[[str, tuple[int, int] | None, int], Source]] = {
    "timm": timm_network,
    "torchvision": torchvision_network,
    "cnn": _cnn,
    "attnmel": _attnmel,
    "chexnet": _chexnet,
}
"""Where networks are known by name; what follows the colon is handed over."""
