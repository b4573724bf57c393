"""Weights from a file: read without running anything that is in it, and refused unless every one has its place."""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from robustdx.errors import WeightsError
from robustdx.models.formats import format_of

State = dict[str, Tensor]

WRAPPERS = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
)
"""Keys under which checkpoints keep their weights, in order: averaged weights (EMA) first, as timm takes them."""
PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "net.")
"""What DataParallel, torch.compile and Lightning put before every name."""
NUMBER = np.float64(0).__reduce__()[0]
"""How a pickle makes a single numpy number."""
HARMLESS: list[Any] = [
    (NUMBER, "numpy.core.multiarray.scalar"),
    (NUMBER, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
    argparse.Namespace,
]
"""Plain values that checkpoints often carry beside the weights: scores and settings. None of them runs code."""


def read(path: str | Path) -> State:
    """The weights in a safetensors file or a file of torch.save, without the wrappers around them.

    Raises:
        WeightsError: the file carries code, is cut short, holds no weights, or weights that are not finite.
    """
    path = Path(path)
    kind = format_of(path)
    if kind in ("torchscript", "program"):
        raise WeightsError(f"{path} is a whole network with code, not weights: give it as the model, without weights")
    state = _unwrap(_safetensors(path) if kind == "safetensors" else _pickle(path))
    if not state:
        raise WeightsError(
            f"{path} holds no weights (expected a table of names and tensors): save it with torch.save(model.state_dict(), FILE)"
        )
    broken = [name for name, value in state.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if broken:
        raise WeightsError(f"{path}: {_some(broken)} hold NaN or infinite values: the training failed, give another checkpoint")
    return state


def fitted(build: Callable[[int], nn.Module], outputs: Iterable[int], path: str | Path) -> nn.Module:
    """The network with one of these numbers of outputs that the weights in a file fit, holding them.

    Raises:
        WeightsError: says which weights are missing, left over, or of another shape.
    """
    state, refusal = read(path), None
    for count in outputs:
        network = build(count)
        try:
            return fill(network, state, str(path))
        except WeightsError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def fill(network: nn.Module, state: Mapping[str, Tensor], where: str, *, fresh_head: bool = False) -> nn.Module:
    """Give a network its weights, every one of them; `fresh_head` leaves a last layer for other classes as it was drawn."""
    wanted = network.state_dict()
    state = _renamed(getattr(network, "renamed", dict)(state), wanted)
    require_names(
        [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")], [k for k in state if k not in wanted], where
    )
    shapes = {k: (tuple(v.shape), tuple(state[k].shape)) for k, v in wanted.items() if k in state}
    kept = {k: pair for k, pair in shapes.items() if not (fresh_head and _is_head(pair))}
    require_shapes(kept, where)
    network.load_state_dict({k: state[k] for k in kept}, strict=False)
    return network


def require_names(missing: list[str], unexpected: list[str], where: str) -> None:
    """Refuse weights that are missing or left over, with the first few of them."""
    if missing or unexpected:
        told = [f"{len(names)} {what} ({_some(names)})" for what, names in (("missing", missing), ("unexpected", unexpected)) if names]
        raise WeightsError(f"{where} does not fit this network: {' and '.join(told)}: check that it was saved from the same architecture")


def require_shapes(shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]], where: str) -> None:
    """Refuse weights of another shape than (wanted, found); for the last layer, say how many classes each side has."""
    other = {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}
    if not other:
        return
    if len(other) <= 4 and all(_is_head(pair) for pair in other.values()):
        wanted, found = next(iter(other.values()))
        raise WeightsError(
            f"{where} was trained for {found[0]} outputs, the data has classes for {wanted[0]} ({_some(list(other))}): "
            "take data with the same classes, or train the last layer for these"
        )
    each = [f"{name} is {found}, expected {wanted}" for name, (wanted, found) in list(other.items())[:3]]
    raise WeightsError(
        f"{where} does not fit this network: {len(other)} weights have another shape ({'; '.join(each)}): "
        "check architecture, size and channels"
    )


def _is_head(pair: tuple[tuple[int, ...], tuple[int, ...]]) -> bool:
    """Whether two shapes differ in the number of outputs alone."""
    wanted, found = pair
    return wanted != found and wanted[1:] == found[1:] and bool(wanted and found)


def _safetensors(path: Path) -> State:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is cut short or damaged ({_line(error)}): copy or download it again") from None


def _pickle(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code is None:
            raise WeightsError(
                f"{path} cannot be read as plain weights ({_line(error)}): save it again with torch.save(model.state_dict(), FILE)"
            ) from None
        raise WeightsError(
            f"{path} carries code ({code[1]}), which robustdx never runs: save the weights alone with torch.save(model.state_dict(), FILE)"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        raise WeightsError(f"{path} is cut short or damaged ({_line(error)}): copy or download it again") from None


def _unwrap(loaded: Any) -> State:
    if not isinstance(loaded, Mapping):
        return {}
    if loaded and all(isinstance(v, Tensor) for v in loaded.values()):
        return {str(k): v for k, v in loaded.items()}
    inside = (_unwrap(loaded[key]) for key in WRAPPERS if isinstance(loaded.get(key), Mapping))
    return next((state for state in inside if state), {})


def _renamed(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> State:
    """Take away the prefixes that tools put before every name, and the counter of averaged weights."""
    state = {k: v for k, v in state.items() if k != "n_averaged" or k in wanted}
    while not any(k in wanted for k in state):
        prefix = next((p for p in PREFIXES if all(k.startswith(p) for k in state)), None)
        if prefix is None:
            break
        state = {k.removeprefix(prefix): v for k, v in state.items()}
    return state


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:160] or type(error).__name__
