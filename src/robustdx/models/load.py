"""From words to a model that can be trusted: found, given its weights, matched with the data's classes, and tried once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from torch import nn

from robustdx.errors import ModelError, WeightsError
from robustdx.models import folder as run_folder
from robustdx.models import huggingface, programs, weights
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.models.formats import format_of
from robustdx.models.programs import CALLABLE
from robustdx.models.spec import Config, ModelSpec, Source
from robustdx.models.trial import require_sound, warn_of_probabilities
from robustdx.models.zoo import LIBRARIES, named
from robustdx.tasks import TASKS, Task

Kind = Literal["binary", "multiclass", "multilabel", "ordinal"]


def load(spec: ModelSpec, kind: Kind, classes: Sequence[str], *, trust_code: bool = False) -> DiagnosticModel:
    """The model that a spec describes, with its weights, in eval mode, for data of this kind with these classes.

    Size, mean, std and class names come from the model's own configuration where it has one; what the spec says wins. The
    outputs are in the order of `classes`, whatever the order in the model. One forward pass of noise is run.

    Raises:
        ModelError: no such model, or it does not fit the data.
        WeightsError: weights are absent, carry code, are damaged, not finite, or do not fit the network.
        TrustError: the format runs code when it is opened, and `trust_code` is False.
    """
    task = TASKS.find(kind)(tuple(classes))
    source = find(spec, trust_code=trust_code)
    _require_kind(source.config.kind, kind, spec.source)
    order_of(source.config.classes, task.classes, spec.source)
    model = _finished(_with_weights(spec, source, task), source.config, spec, task).eval()
    warn_of_probabilities(model, spec.source)
    return model


def new(spec: ModelSpec, kind: Kind, classes: Sequence[str], *, trust_code: bool = False) -> DiagnosticModel:
    """The network of a spec with fresh weights, in training mode: what `robustdx harden` begins with.

    Raises:
        ModelError: no such network, or one that exists only together with its weights.
    """
    task = TASKS.find(kind)(tuple(classes))
    source = find(spec, trust_code=trust_code)
    if source.build is None:
        raise ModelError(
            f"{spec.source} is a finished program without a network to train anew: "
            "give timm:NAME, torchvision:NAME, cnn, attnmel or chexnet"
        )
    return _finished(source.build(task.outputs[-1]), replace(source.config, classes=None), spec, task).train()


def find(spec: ModelSpec, *, trust_code: bool) -> Source:
    """Where the network of a spec comes from; files are told apart by their content."""
    source, path = spec.source, Path(spec.source)
    if source.partition(":")[0] in LIBRARIES:
        return named(source, spec.shape, spec.channels)
    if path.is_dir():
        return _from_folder(path, spec, trust_code)
    if path.is_file():
        return _from_file(path, trust_code)
    if CALLABLE.fullmatch(source):
        return programs.function(source, trust_code)
    raise ModelError(
        f"there is no model {source!r}: give timm:NAME, torchvision:NAME, cnn, attnmel, chexnet, a folder (robustdx, Hugging Face), "
        "a .pt2 or TorchScript file, or module:callable"
    )


def _from_folder(path: Path, spec: ModelSpec, trust_code: bool) -> Source:
    if (path / run_folder.FACTS).is_file():
        facts = run_folder.facts_of(path)
        config = run_folder.config_of(facts)
        inner = replace(spec, source=facts["source"], weights=None, size=spec.size or config.size, mean=config.mean, std=config.std)
        if facts["source"] == run_folder.HUGGINGFACE:
            found = huggingface.from_config(facts["config"], inner.shape, inner.channels)
        else:
            found = find(inner, trust_code=trust_code)
        return Source(config, found.build, path / run_folder.WEIGHTS)
    if (path / huggingface.CONFIG).is_file():
        return huggingface.from_folder(path, spec.shape, spec.channels)
    raise ModelError(f"{path} is not a model: expected model.json (robustdx) or config.json (Hugging Face) in the folder")


def _from_file(path: Path, trust_code: bool) -> Source:
    match format_of(path):
        case "program":
            return programs.exported(path, trust_code)
        case "torchscript":
            return programs.torchscript(path, trust_code)
    raise ModelError(
        f"{path} holds weights only: give it as weights, and as the model the network it belongs to "
        "(timm:NAME, torchvision:NAME, cnn, attnmel, chexnet, module:callable)"
    )


def _with_weights(spec: ModelSpec, source: Source, task: Task) -> nn.Module:
    path = spec.weights or (source.weights if source.open is None else None)
    if path is not None and source.build is not None:
        return weights.fitted(source.build, reversed(task.outputs), path)
    if path is not None:
        raise WeightsError(f"{spec.source} brings its own weights: leave out weights={path}")
    if source.open is None:
        raise WeightsError(
            f"{spec.source} has no weights here, and auditing random ones means nothing: "
            "give weights=FILE (safetensors, or a state dict of torch.save)"
        )
    return source.open(task.outputs[-1])


def _finished(network: nn.Module, config: Config, spec: ModelSpec, task: Task) -> DiagnosticModel:
    size = spec.shape or config.size
    if size is None:
        raise ModelError(f"{spec.source} does not say which size of images it takes: give size (one number, or height and width)")
    mean, std = (spec.mean, spec.std) if spec.mean and spec.std else (config.mean, config.std)
    model = DiagnosticModel(
        network,
        task,
        size=size,
        mean=mean or (0.0,) * spec.channels,
        std=std or (1.0,) * spec.channels,
        outputs=config.outputs or spec.outputs,
        resize=spec.resize or config.resize,
        order=order_of(config.classes, task.classes, spec.source),
    )
    require_sound(model, spec.source)
    return model


def order_of(own: Sequence[str] | None, wanted: Sequence[str], source: str) -> tuple[int, ...] | None:
    """Which output of the network belongs to each class of the data; None where they stand in the same order.

    Names are the same but for case, spaces, dashes and underscores.

    Raises:
        ModelError: the model and the data name different classes.
    """
    if own is None:
        return None
    places = {_plain(name): place for place, name in enumerate(own)}
    if len(places) != len(own) or set(places) != {_plain(name) for name in wanted}:
        raise ModelError(f"{source} tells apart {_list(own)}, the data {_list(wanted)}: both must name the same classes, in any order")
    order = tuple(places[_plain(name)] for name in wanted)
    return None if order == tuple(range(len(order))) else order


def _require_kind(own: str | None, wanted: Kind, source: str) -> None:
    if own is not None and (own == "multilabel") != (wanted == "multilabel"):
        raise ModelError(f"{source} was trained for {own} labels, the data has {wanted} labels: take data of the same kind")


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _list(names: Sequence[str]) -> str:
    return f"{len(names)} classes ({', '.join(names[:8])}{', ...' if len(names) > 8 else ''})"
