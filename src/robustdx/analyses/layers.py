"""Features of named layers for every view of a batch, as rows that can be kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.analyses.protocol import Arrays, Views
from robustdx.models import DiagnosticModel, still
from robustdx.models.features import features, maps


def layer_features(model: DiagnosticModel, views: Views, layers: Sequence[str], grid: int = 1) -> dict[str, Arrays]:
    """By view and layer, (B, D) in float32; without names, of the network's blocks. Cost: a pass per view."""
    found: dict[str, Arrays] = {}
    with still(model), torch.no_grad():
        for view, x in views.all.items():
            outputs = maps(model, x, views.draws, layers)
            found[view] = {name: averaged(values, grid).cpu().numpy() for name, values in outputs.items()}
    return found


def last_features(model: DiagnosticModel, views: Views, layers: Sequence[str]) -> dict[str, Arrays]:
    """By view and layer, (B, D) in float32; without names, what the decision is made from. Cost: a pass per view."""
    with still(model), torch.no_grad():
        return {
            view: {
                name: found.cpu().numpy()
                for name, found in zip(layers or ("decision",), features(model, x, views.draws, layers), strict=True)
            }
            for view, x in views.all.items()
        }


def averaged(values: Tensor, grid: int) -> Tensor:
    """(B, C, H, W) as (B, C grid grid), (B, T, D) as (B, D), by the mean over rows and columns or tokens; grid 0 keeps all."""
    if grid == 0 or values.dim() == 2:
        return values.flatten(1)
    if values.dim() == 4:
        height, width = (min(grid, side) for side in values.shape[2:])
        return F.adaptive_avg_pool2d(values, (height, width)).flatten(1)
    return values.flatten(1, -2).mean(1)
