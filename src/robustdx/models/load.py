"""From words to a model that can be trusted: found, given its weights, matched with the data's classes, and tried once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from robustdx.errors import ModelError, RobustdxError, WeightsError
from robustdx.models import folder as run_folder
from robustdx.models import weights
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.models.formats import format_of
from robustdx.models.spec import Config, ModelSpec, Source
from robustdx.models.zoo import OWN, named
from robustdx.tasks import TASKS, Task

Kind = Literal["binary", "multiclass", "multilabel"]


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
    order_of(source.config.classes, task.classes, spec.source)
    return _finished(_with_weights(spec, source, task), source.config, spec, task).eval()


def new(spec: ModelSpec, kind: Kind, classes: Sequence[str], *, trust_code: bool = False) -> DiagnosticModel:
    """The network of a spec with fresh weights, in training mode: what `robustdx harden` begins with.

    Raises:
        ModelError: no such network, or one that exists only together with its weights.
    """
    task = TASKS.find(kind)(tuple(classes))
    source = find(spec, trust_code=trust_code)
    if source.build is None:
        raise ModelError(
            f"{spec.source} is a finished program without a network to train anew: give timm:NAME, torchvision:NAME, cnn or attnmel"
        )
    config = Config(source.config.size, source.config.mean, source.config.std)
    return _finished(source.build(task.outputs[-1]), config, spec, task).train()


def find(spec: ModelSpec, *, trust_code: bool) -> Source:
    """Where the network of a spec comes from."""
    source, path = spec.source, Path(spec.source)
    if source in OWN or source.startswith(("timm:", "torchvision:")):
        return named(source, spec.shape, spec.channels)
    if path.is_dir():
        return _from_folder(path, spec)
    if path.is_file() and format_of(path) in ("state", "safetensors"):
        raise ModelError(
            f"{source} holds weights only: give it as weights, and as the model the network it belongs to "
            "(timm:NAME, torchvision:NAME, cnn, attnmel)"
        )
    raise ModelError(
        f"there is no model {source!r}: give timm:NAME, torchvision:NAME, cnn, attnmel, a folder (robustdx, Hugging Face), "
        "a .pt2 or TorchScript file, or module:callable"
    )


def _from_folder(path: Path, spec: ModelSpec) -> Source:
    if (path / run_folder.FACTS).is_file():
        facts = run_folder.facts_of(path)
        config = run_folder.config_of(facts)
        inner = named(str(facts["source"]), spec.shape or config.size, len(config.mean or ()))
        return Source(config, inner.build, path / run_folder.WEIGHTS)
    raise ModelError(f"{path} is not a model: expected model.json (robustdx) or config.json (Hugging Face) in the folder")


def _with_weights(spec: ModelSpec, source: Source, task: Task) -> nn.Module:
    path = spec.weights or source.weights
    if path is not None and source.build is not None:
        return weights.fitted(source.build, reversed(task.outputs), path)
    if source.open is None:
        raise WeightsError(
            f"{spec.source} has no weights here, and auditing random ones means nothing: "
            "give weights=FILE (safetensors, or a state dict of torch.save)"
        )
    if spec.weights is not None:
        raise WeightsError(f"{spec.source} brings its own weights: leave out weights={spec.weights}")
    return source.open()


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
    _try(model, spec.source)
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


def _try(model: DiagnosticModel, source: str) -> None:
    """Show the model two images of noise: what does not fit is refused here, before anything runs."""
    assert model.size is not None
    shape = (2, model.channels, *model.size)
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    was = model.training
    model.eval()
    try:
        with torch.no_grad():
            outputs = model(noise)
    except RobustdxError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise ModelError(
            f"{source} cannot take images of {shape[1]} x {shape[2]} x {shape[3]} (channels, height, width): {reason}: give another size"
        ) from error
    finally:
        model.train(was)
    if not bool(outputs.isfinite().all()):
        raise WeightsError(f"{source} answers NaN or infinity on an image of noise: check weights, mean and std")


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _list(names: Sequence[str]) -> str:
    return f"{len(names)} classes ({', '.join(names[:8])}{', ...' if len(names) > 8 else ''})"
