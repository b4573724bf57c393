"""What a network thinks of an image on the way to its answer: the outputs of named layers, one vector per image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from robustdx.catalogue import unknown
from robustdx.draws import Draws
from robustdx.errors import ModelError, PlanError
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.tensors import Images

Found = dict[str, list[Tensor]]
"""By layer, what it gave in each pass: several where a model asks its network more than once."""


def features(model: DiagnosticModel, x: Images, draws: Draws, layers: Sequence[str] = ()) -> tuple[Tensor, ...]:
    """The outputs of these layers as (B, D) in float32, averaged over rows and columns (or tokens), with their gradients.

    Layers are named as `model.network.named_modules()` names them. Without names it is what the last linear layer that ran is
    given: the pooled features that the decision is made from. A model that makes several passes for one answer gives their mean.
    Cost: one call of the model.

    Raises:
        PlanError: no such layer (the nearest is named), or one whose outputs are no features.
        ModelError: the network has no layers to look into.
    """
    with _listening(model.network, layers) as found:
        model(x, draws)
    names = layers or list(found)[-1:]
    silent = [name for name in names if name not in found]
    if silent or not names:
        raise ModelError(
            f"expected features of {silent[0] if silent else 'a linear layer'}, but no such layer has run (an exported "
            "program has none to look into): name the layers, or take a detector that needs none, such as feature-squeezing"
        )
    return tuple(torch.stack(found[name]).mean(0) for name in names)


@contextmanager
def _listening(network: nn.Module, layers: Sequence[str]) -> Iterator[Found]:
    """Collect what layers give while the block runs; the network is left without a trace."""
    found: Found = {}
    modules = dict(network.named_modules())
    for name in layers:
        if name not in modules or not name:
            raise PlanError(unknown("layer", name, {n: None for n in modules if n}))
    linear = {} if layers else {name: m for name, m in modules.items() if isinstance(m, nn.Linear)}
    handles = [modules[name].register_forward_hook(_out_of(name, found)) for name in layers]
    handles += [m.register_forward_pre_hook(_into(name, found)) for name, m in linear.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _out_of(name: str, found: Found) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, given: Any, result: Any) -> None:
        result = result[0] if isinstance(result, tuple | list) else result
        if not isinstance(result, Tensor) or result.dim() < 2:
            raise PlanError(f"the layer {name} gives {type(result).__name__}, no features of shape (B, ...): name another")
        found.setdefault(name, []).append(_pooled(result, channel=1 if result.dim() > 3 else -1))

    return hook


def _into(name: str, found: Found) -> Callable[[nn.Module, Any], None]:
    def hook(module: nn.Module, given: Any) -> None:
        if name in found:  # the last to run stands last
            found[name] = found.pop(name)
        found.setdefault(name, []).append(_pooled(given[0], channel=-1))

    return hook


def _pooled(values: Tensor, channel: int) -> Tensor:
    """(B, C, H, W), (B, tokens, D) or (B, D) as (B, D); a copy, which what follows in place does not reach."""
    return values.float().movedim(channel, 1).flatten(2).mean(2) if values.dim() > 2 else values.float().clone()
