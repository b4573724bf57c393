"""What a network thinks of an image on the way to its answer: the outputs of named layers, as one vector per image or whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from robustdx.draws import Draws
from robustdx.errors import ModelError, PlanError
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.tensors import Images

Found = dict[str, list[Tensor]]
"""By layer, what it gave in each pass: several where a model asks its network more than once."""
Keep = Callable[[Tensor], Tensor]
"""What is kept of a layer's output."""

FEW = 5
"""A network of fewer parts is looked into."""
MOST_BLOCKS = 12
"""How many layers stand for a network whose layers nobody has named."""


def features(model: DiagnosticModel, x: Images, draws: Draws, layers: Sequence[str] = ()) -> tuple[Tensor, ...]:
    """The outputs of these layers as (B, D) in float32, averaged over rows and columns (or tokens), with their gradients.

    Layers are named as `model.network.named_modules()` names them. Without names it is what the last linear layer that ran is
    given: the pooled features that the decision is made from. A model that makes several passes for one answer gives their mean.
    Cost: one call of the model.

    Raises:
        PlanError: no such layer (the nearest is named), or one whose outputs are no features.
        ModelError: the network has no layers to look into.
    """
    with _listening(model.network, layers, _pooled) as found:
        model(x, draws)
    names = layers or list(found)[-1:]
    silent = [name for name in names if name not in found]
    if silent or not names:
        raise ModelError(
            f"expected features of {silent[0] if silent else 'a linear layer'}, but no such layer has run (an exported "
            "program has none to look into): name the layers, or take a detector that needs none, such as feature-squeezing"
        )
    return tuple(torch.stack(found[name]).mean(0) for name in names)


def maps(model: DiagnosticModel, x: Images, draws: Draws, layers: Sequence[str] = (), most: int = MOST_BLOCKS) -> dict[str, Tensor]:
    """The whole outputs of these layers by name, in float32: (B, C, H, W) of a convolution, (B, T, D) of tokens, (B, D).

    Without names it is the blocks of the network, at most so many (`blocks`), as far as they run. A model that makes several passes for
    one answer gives their mean. With gradients where the caller asks for them. Cost: one call of the model; the memory of these outputs.

    Raises:
        PlanError: no such layer (the nearest are named), or one whose outputs are no features.
        ModelError: the network has no layers to look into, or one that is named does not run.
    """
    with _listening(model.network, layers or blocks(model.network, most), _whole) as found:
        model(x, draws)
    silent = [name for name in layers if name not in found]
    if silent or not found:
        raise ModelError(
            f"expected outputs of {silent[0] if silent else 'a layer'}, but no such layer has run (an exported program has none to look "
            "into): name layers that run"
        )
    return {name: torch.stack(found[name]).mean(0) for name in layers or found}


def blocks(network: nn.Module, most: int = MOST_BLOCKS) -> tuple[str, ...]:
    """The layers that stand for a network where none are named: its large parts in order, at most so many of them.

    A part is a child with weights of its own. A plain sequence among them is opened where it holds more than half of all weights, or
    where there are less than five parts.
    """
    parts = _parts(network)
    whole = sum(p.numel() for p in network.parameters())
    names = [inner for name, part in parts.items() for inner in _opened(name, part, always=len(parts) < FEW, whole=whole)]
    if len(names) <= most:
        return tuple(names)
    step = (len(names) - 1) / (most - 1)  # evenly, the first and the last among them
    return tuple(names[round(i * step)] for i in range(most))


def _parts(module: nn.Module) -> dict[str, nn.Module]:
    return {name: child for name, child in module.named_children() if next(child.parameters(), None) is not None}


def _opened(name: str, part: nn.Module, always: bool, whole: int) -> list[str]:
    plain = isinstance(part, nn.Sequential | nn.ModuleList)
    if plain and (always or 2 * sum(p.numel() for p in part.parameters()) > whole):
        return [f"{name}.{inner}" for inner in _parts(part)]
    return [name]


@contextmanager
def _listening(network: nn.Module, layers: Sequence[str], keep: Keep) -> Iterator[Found]:
    """Collect what layers give while the block runs; the network is left without a trace."""
    found: Found = {}
    modules = dict(network.named_modules())
    for name in layers:
        if name not in modules or not name:
            raise PlanError(_no_layer(name, [n for n in modules if n]))
    linear = {} if layers else {name: m for name, m in modules.items() if isinstance(m, nn.Linear)}
    handles = [modules[name].register_forward_hook(_out_of(name, found, keep)) for name in layers]
    handles += [m.register_forward_pre_hook(_into(name, found)) for name, m in linear.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _no_layer(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"take one of {', '.join(known[:20])}" if known else "there is none at all"
    return f"there is no layer named {name!r}: {hint}"


def _out_of(name: str, found: Found, keep: Keep) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, given: Any, result: Any) -> None:
        result = result[0] if isinstance(result, tuple | list) else result
        if not isinstance(result, Tensor) or result.dim() < 2:
            raise PlanError(f"the layer {name} gives {type(result).__name__}, no features of shape (B, ...): name another")
        found.setdefault(name, []).append(keep(result))

    return hook


def _into(name: str, found: Found) -> Callable[[nn.Module, Any], None]:
    def hook(module: nn.Module, given: Any) -> None:
        if name in found:  # the last to run stands last
            found[name] = found.pop(name)
        found.setdefault(name, []).append(_pooled(given[0], channel=-1))

    return hook


def _whole(values: Tensor) -> Tensor:
    """As it is; a copy, which what follows in place does not reach."""
    return values.float().clone()


def _pooled(values: Tensor, channel: int | None = None) -> Tensor:
    """(B, C, H, W), (B, tokens, D) or (B, D) as (B, D); a copy, which what follows in place does not reach."""
    channel = channel or (1 if values.dim() > 3 else -1)
    return values.float().movedim(channel, 1).flatten(2).mean(2) if values.dim() > 2 else values.float().clone()
