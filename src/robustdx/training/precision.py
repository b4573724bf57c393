"""In which numbers the passes of training compute."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from robustdx.models import DiagnosticModel


def computing(model: DiagnosticModel, precision: str) -> AbstractContextManager[object]:
    """Convolutions and products in `precision` inside the block; weights, sums and losses stay float32."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(model.mean.device.type, getattr(torch, precision))
