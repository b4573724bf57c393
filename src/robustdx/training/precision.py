"""In which numbers the passes of training compute."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from robustdx.models import DiagnosticModel


def resolve(precision: str, device: torch.device) -> str:
    """What "auto" means on this machine: bfloat16 where the processor multiplies in it, by its kind, not by its speed."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16"
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return "bfloat16" if any(getattr(torch.cpu, probe, bool)() for probe in probes) else "float32"


def computing(model: DiagnosticModel, precision: str) -> AbstractContextManager[object]:
    """Convolutions and products in `precision` inside the block; weights, sums and losses stay float32."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(model.mean.device.type, getattr(torch, precision))
