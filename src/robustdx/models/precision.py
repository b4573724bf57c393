"""In which numbers a network computes."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def resolve(precision: Precision, device: torch.device) -> str:
    """What "auto" means on this machine: bfloat16 where the processor multiplies in it.

    By the kind of the processor and not by a measurement, which could choose differently from run to run.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16"
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return "bfloat16" if any(getattr(torch.cpu, probe, bool)() for probe in probes) else "float32"
