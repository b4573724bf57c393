"""Where in the image the network looks, before and after an attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from torch import Tensor

from robustdx.analyses.agreement import MEASURES, agreement, share_inside
from robustdx.analyses.protocol import CLEAN, Arrays, Finding, Number, Seen, Views, number, require_task
from robustdx.analyses.response_maps import AT_A_LAYER, MAPS, Evidence, decided, labelled, lacking, last_map, scaled
from robustdx.catalogue import unknown
from robustdx.errors import DataError, PlanError
from robustdx.models import DiagnosticModel, still
from robustdx.models.features import maps as layer_maps
from robustdx.tasks import Binary, MultiClass, MultiLabel, Ordinal, plain
from robustdx.tensors import Images

INSIDE, AREA = "inside", "area"
SAME_EVERYWHERE = "the map is the same everywhere"


@final
@dataclass(frozen=True, kw_only=True)
class ResponseAreas:
    """Which areas a network responds to, as maps and as numbers: attention, saliency, Grad-CAM and guided Grad-CAM (Xu et al. 2021).

    Each map explains the answer that the network gives to that very image, so that after an attack it is the wrong answer's. Numbers,
    by attacked view and map, as means over images: `pearson`, `spearman`, `top_overlap` and `ssim` of the map before and after (see
    `analyses.agreement`). With masks, also for the clean view: `inside`, the share of the response inside the lesion, and `area`, the
    share of the image that it covers, which is what `inside` would be by chance. A map that a network cannot give is left out with its
    reason. `Seen.rows` has the number of each image, NaN where a map is the same everywhere.

    Pictures: by view and map, (M, H, W) from 0 to 1 for the first `pictures` images, and `image` (M, C, H, W): a heat map over the image,
    a row for each view. Cost per image and view: a forward pass for the answer, one for attention; a forward and a backward pass for
    saliency, Grad-CAM and HiResCAM each, two of each for guided Grad-CAM; and the sorting of each map's pixels.
    """

    maps: tuple[str, ...] = ("attention", "saliency", "gradcam", "guided_gradcam")
    """Of attention, saliency, gradcam, hirescam and guided_gradcam."""
    explains: Literal["decision", "label"] = "decision"
    """Which answer: the one that is given to this view of the image (of several findings the most likely), or the true one."""
    layer: str = ""
    """The layer for the Grad-CAM family; left out, the last block with rows and columns."""
    top: float = 0.1
    """The share of pixels that are the strongest, for `top_overlap`."""
    inside: bool = False
    """Whether every image must have a mask of the lesion; where all have one, the share inside is measured in any case."""
    pictures: int = 8
    """How many images are kept as pictures."""

    tasks: ClassVar[tuple[type, ...]] = (Binary, MultiClass, MultiLabel, Ordinal)

    def __post_init__(self) -> None:
        for name in self.maps:
            if name not in MAPS:
                raise PlanError(unknown("response map", name, MAPS))
        if not self.maps or not 0 < self.top < 1 or self.pictures < 0:
            raise PlanError(
                f"expected one map or more, top between 0 and 1, and 0 pictures or more, got {list(self.maps)}, top {self.top:g} and "
                f"{self.pictures} pictures"
            )

    def __call__(self, model: DiagnosticModel, views: Views) -> Seen:
        """What is seen of one batch.

        Raises:
            DataError: `inside` without masks.
            PlanError: no such layer (the nearest are named), or one without rows and columns.
        """
        require_task(model.task, self.tasks, "response-areas")
        if self.inside and views.masks is None:
            raise DataError(
                "response-areas: inside asks for the share of the response inside the lesion, but these images have no mask that says "
                "where it is: take a data set with masks, or leave inside out"
            )
        with still(model):
            layer = self._layer(model, views)
            missing = {way: why for way in self.maps if (why := lacking(way, model, layer))}
            ways = [way for way in self.maps if way not in missing]
            found = {view: self._maps(model, x, views, ways, layer) for view, x in views.all.items()}
        rows = {view: self._rows(found[CLEAN], maps, views.masks, first=view == CLEAN) for view, maps in found.items()}
        return Seen.of(model, views, rows, {view: self._pictures(views.all[view], maps) for view, maps in found.items()}, missing)

    def conclude(self, seen: Seen) -> Finding:
        """Means over images, and what was left out."""
        numbers = [_mean(view, of, values) for view in seen.views for of, values in seen.rows[view].items()]
        numbers += [Number(CLEAN, way, "map", None, why) for way, why in seen.lacking.items()]
        pictures = {view: {of: kept[: self.pictures] for of, kept in maps.items()} for view, maps in seen.pictures.items()}
        return Finding(tuple(numbers), pictures)

    def _layer(self, model: DiagnosticModel, views: Views) -> str:
        if not set(self.maps) & set(AT_A_LAYER):
            return ""
        if not self.layer:
            return last_map(model, views.clean, views.draws)
        require_map(model, views, self.layer)
        return self.layer

    def _maps(self, model: DiagnosticModel, x: Images, views: Views, ways: Sequence[str], layer: str) -> dict[str, Tensor]:
        """Maps of one view by name, (B, H, W) and at least 0."""
        task = plain(model.task)
        with torch.no_grad():
            outputs = model(x, views.draws)
        answer = decided(task, outputs) if self.explains == "decision" else labelled(task, views.y, outputs)
        evidence = Evidence(model, views.draws, answer)
        found: dict[str, Tensor] = {}
        for way in ways:
            found |= MAPS[way](evidence, x, layer)
        return found

    def _rows(self, before: dict[str, Tensor], after: dict[str, Tensor], masks: Tensor | None, first: bool) -> dict[str, Any]:
        """By MAP/MEASURE, a number for each image."""
        rows: dict[str, Any] = {}
        for name, response in after.items():
            if not first:
                pairs = zip(scaled(before[name]).cpu().numpy(), scaled(response).cpu().numpy(), strict=True)
                alike = [agreement(a, b, self.top) for a, b in pairs]
                rows |= {f"{name}/{measure}": np.array([found[measure] for found in alike]) for measure in MEASURES}
            if masks is not None:
                inside = [share_inside(r, m) for r, m in zip(response.cpu().numpy(), masks.cpu().numpy() > 0, strict=True)]
                rows |= {f"{name}/{INSIDE}": np.array(inside)}
        if masks is not None and first:
            rows[f"mask/{AREA}"] = masks.cpu().numpy().astype(np.float64).mean((1, 2))
        return rows

    def _pictures(self, x: Images, found: dict[str, Tensor]) -> Arrays:
        kept = {name: scaled(response[: self.pictures]).half().cpu().numpy() for name, response in found.items()}
        return {"image": x[: self.pictures].detach().half().cpu().numpy(), **kept}


def require_map(model: DiagnosticModel, views: Views, layer: str) -> None:
    """Refuse a layer that does not exist, or whose output has no rows and columns."""
    with torch.no_grad():
        found = layer_maps(model, views.clean[:1], views.draws.take([0]), (layer,))[layer]
    if found.dim() != 4:
        raise PlanError(f"the layer {layer} gives {tuple(found.shape)}, expected rows and columns (B, C, H, W): name an earlier layer")


def _mean(view: str, of: str, values: np.ndarray) -> Number:
    name, _, measure = of.partition("/")
    known = values[np.isfinite(values)]
    if not len(known):
        return number(view, name, measure, float("nan"), SAME_EVERYWHERE)
    left_out = f"{len(values) - len(known)} of {len(values)} images are left out: {SAME_EVERYWHERE}" if len(known) < len(values) else ""
    return Number(view, name, measure, float(known.mean()), left_out)
