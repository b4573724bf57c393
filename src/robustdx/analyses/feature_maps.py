"""What the layers of a network show of an image, before and after an attack, and how far an attack moves each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from robustdx.analyses.protocol import CLEAN, Arrays, Finding, Seen, Views, number, require_task
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, still
from robustdx.models.features import maps
from robustdx.tasks import Binary, MultiClass, MultiLabel, Ordinal


@final
@dataclass(frozen=True, kw_only=True)
class FeatureMaps:
    """The outputs of the blocks as heat pictures, and how far an attack moves them, layer by layer (Xu et al. 2021, their vis.py).

        distance = |f(x_adv) - f(x)| / |f(x)|,    cosine = f(x_adv) f(x) / (|f(x_adv)| |f(x)|),    f the whole map of an image

    A small change of the pixels that grows from block to block is what makes an attack work; where it grows, a defence may begin.
    Numbers: by attacked view and layer, `distance` and `cosine` as means over images (rows for each image). Pictures: by view, `mean:LAYER`
    (M, h, w), the mean size over channels, and `channels:LAYER` (M, c, h, w), the channels that are strongest on the clean image,
    the same ones in every view: heat maps with one scale for all views of an image. Cost: one pass of the model per image and view.
    """

    layers: tuple[str, ...] = ()
    """Layers of the network, by their names; left out, its large blocks in order (12 at most)."""
    pictures: int = 4
    """How many images are kept as pictures."""
    channels: int = 4
    """How many channels of each layer are kept as pictures."""

    tasks: ClassVar[tuple[type, ...]] = (Binary, MultiClass, MultiLabel, Ordinal)

    def __post_init__(self) -> None:
        if self.pictures < 0 or self.channels < 0:
            raise PlanError(f"expected 0 or more pictures and channels, got {self.pictures} and {self.channels}")

    def __call__(self, model: DiagnosticModel, views: Views) -> Seen:
        require_task(model.task, self.tasks, "feature-maps")
        rows: dict[str, Arrays] = {CLEAN: {}}
        pictures: dict[str, Arrays] = {}
        with still(model), torch.no_grad():
            clean = maps(model, views.clean, views.draws, self.layers)
            strongest = {name: _strongest(values, self.channels) for name, values in clean.items() if values.dim() == 4}
            pictures[CLEAN] = self._pictures(clean, strongest)
            for view, x in views.attacked.items():
                moved = maps(model, x, views.draws, self.layers)
                rows[view] = {f"{name}/{m}": v for name in moved for m, v in _moved(clean[name], moved[name]).items()}
                pictures[view] = self._pictures(moved, strongest)
        return Seen.of(model, views, rows, pictures)

    def conclude(self, seen: Seen) -> Finding:
        """Means over images."""
        numbers = []
        for view in seen.attacked:
            for of, values in seen.rows[view].items():
                layer, _, measure = of.rpartition("/")
                known = values[np.isfinite(values)]
                value = float(known.mean()) if len(known) else float("nan")
                numbers.append(number(view, layer, measure, value, "the layer gives 0 on every image"))
        pictures = {view: {of: kept[: self.pictures] for of, kept in shown.items()} for view, shown in seen.pictures.items()}
        return Finding(tuple(numbers), pictures)

    def _pictures(self, found: Mapping[str, Tensor], strongest: Mapping[str, Tensor]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, channels in strongest.items():
            values, picked = found[name][: self.pictures], channels[: self.pictures]
            kept[f"mean:{name}"] = values.abs().mean(1).cpu().numpy()
            kept[f"channels:{name}"] = values[torch.arange(len(values), device=values.device)[:, None], picked].cpu().numpy()
        return kept


def _strongest(values: Tensor, channels: int) -> Tensor:
    """(B, c): the channels whose mean size is largest."""
    size = values.abs().mean((2, 3))
    return size.topk(min(channels, size.shape[1]), 1).indices


def _moved(before: Tensor, after: Tensor) -> dict[str, np.ndarray]:
    """How far each image's map has come; NaN where it is 0."""
    a, b = before.flatten(1).double(), after.flatten(1).double()
    size, other = a.norm(dim=1), b.norm(dim=1)
    nothing = torch.full_like(size, torch.nan)
    distance = torch.where(size > 0, (b - a).norm(dim=1) / size, nothing)
    cosine = torch.where(size * other > 0, (a * b).sum(1) / (size * other), nothing)
    return {"distance": distance.cpu().numpy(), "cosine": cosine.cpu().numpy()}
