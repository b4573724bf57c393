"""Networks that are code: exported programs, TorchScript, and Python functions. Opening one runs what is inside."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustdx.errors import ModelError, TrustError
from robustdx.models.spec import Config, Source

CALLABLE = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_][\w.]*)")
"""`module:callable`, as in Python's entry points."""


def require_trust(source: str, trust_code: bool) -> None:
    """Refuse to run somebody's code without leave.

    Raises:
        TrustError: names the danger and the flag.
    """
    if not trust_code:
        raise TrustError(
            f"opening {source} runs the code inside it with your rights (it could read, change or send your files): "
            "if you trust whoever made it, add --trust-code; weights alone (safetensors, state dict) never run code"
        )


def exported(path: Path, trust_code: bool) -> Source:
    """A program of torch.export (.pt2); the size of its images stands in it, unless that was left open."""
    require_trust(str(path), trust_code)
    try:
        with path.open("rb") as file:  # a name that does not end in .pt2 would be complained of
            program = torch.export.load(file)
    except Exception as error:
        raise ModelError(
            f"{path} cannot be opened as an exported program ({_line(error)}): export it again with this torch, {torch.__version__}"
        ) from None
    shape = _input_shape(program, path)
    channels, size = shape[1], shape[2:]
    config = Config(
        size=size if all(isinstance(n, int) for n in size) else None,
        mean=(0.0,) * channels if isinstance(channels, int) else None,
        std=(1.0,) * channels if isinstance(channels, int) else None,
    )
    network = program.module()
    return Source(config, open=lambda outputs: Batches(network, shape[0]) if isinstance(shape[0], int) else network)


def torchscript(path: Path, trust_code: bool) -> Source:
    """A TorchScript file; it does not say which size of images it takes."""
    require_trust(str(path), trust_code)

    def opened(outputs: int) -> nn.Module:
        try:
            return torch.jit.load(path, map_location="cpu")
        except Exception as error:
            raise ModelError(
                f"{path} cannot be opened as TorchScript ({_line(error)}): make it again with torch.jit.trace, or use torch.export"
            ) from None

    return Source(Config(), open=opened)


def function(source: str, trust_code: bool) -> Source:
    """A Python function or class that returns the network, importable from here: `module:callable`.

    It is called with `num_classes` where it takes that, else without arguments.
    """
    require_trust(source, trust_code)
    make = imported(source)

    def build(outputs: int) -> nn.Module:
        try:
            takes = "num_classes" in inspect.signature(make).parameters
            network = make if isinstance(make, nn.Module) else make(num_classes=outputs) if takes else make()
        except Exception as error:
            raise ModelError(
                f"{source} failed with {type(error).__name__}: {_line(error)}: it is called with num_classes, or without arguments"
            ) from error
        if not isinstance(network, nn.Module):
            raise ModelError(f"expected {source} to return a torch.nn.Module, got {type(network).__name__}: return the network itself")
        return network

    return Source(Config(), build=build, open=build)


class Batches(nn.Module):
    """A program that was made for so many images at a time, fed as many as come."""

    def __init__(self, network: nn.Module, count: int) -> None:
        super().__init__()
        self.network, self.count = network, count

    def forward(self, x: Tensor) -> Any:
        """Answers for any number of images; the last batch is filled up with copies of its first image."""
        parts = [self._one(part) for part in x.split(self.count)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _one(self, x: Tensor) -> Tensor:
        filled = torch.cat((x, x[:1].expand(self.count - len(x), -1, -1, -1))) if len(x) < self.count else x
        outputs = self.network(filled)
        outputs = outputs[0] if isinstance(outputs, tuple | list) else outputs
        return outputs[: len(x)]


def for_any_batch(network: nn.Module, x: Tensor) -> nn.Module:
    """A traced network as it is, or one image at a time where it was traced for a single one; x holds two images."""
    single = Batches(network, 1)
    return single if not _answers(network, x) and _answers(single, x) else network


def _answers(network: nn.Module, x: Tensor) -> bool:
    try:
        with torch.no_grad():
            outputs = network(x)
    except Exception:
        return False
    return not isinstance(outputs, Tensor) or len(outputs) == len(x)


def _input_shape(program: torch.export.ExportedProgram, path: Path) -> tuple[Any, ...]:
    names = program.graph_signature.user_inputs
    inputs = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(inputs) != 1 or not isinstance(inputs[0], Tensor) or inputs[0].dim() != 4:
        told = ", ".join(str(tuple(i.shape)) if isinstance(i, Tensor) else type(i).__name__ for i in inputs)
        raise ModelError(
            f"expected {path} to take one tensor (images, channels, height, width), it takes {told or 'none'}: export the classifier alone"
        )
    return tuple(inputs[0].shape)


def imported(source: str) -> Callable[..., Any]:
    module, _, name = source.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise ModelError(
            f"cannot import {source} ({type(error).__name__}: {_line(error)}): run from the folder of {module}.py, or install it"
        ) from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if not callable(found):
        raise ModelError(f"expected {source} to be a function or class, got {type(found).__name__}")
    return found


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:160] or type(error).__name__
