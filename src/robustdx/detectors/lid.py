"""In how many directions the clean images spread out around an image, as the network sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from robustdx.data import Dataset
from robustdx.data.split import subset
from robustdx.detectors import lessons
from robustdx.detectors.lessons import Progress
from robustdx.draws import Draws
from robustdx.errors import DataError, PlanError
from robustdx.models import DiagnosticModel, still
from robustdx.models.features import features
from robustdx.models.learned import adopt
from robustdx.tensors import Images, PerImage

NAME = "lid"
TINY = 1e-12


@final
@dataclass(frozen=True, kw_only=True)
class LID:
    """Local intrinsic dimension of the features among those of clean images (Ma et al. 2018, equation 4).

        score = -1 / mean_i log(r_i / r_k),    r_1 .. r_k the distances to the k nearest clean images

    Ma et al. look for neighbours in the batch that an image came in, and weigh the layers by a logistic regression on attacked images.
    Here neighbours are clean training images, the same for every image, so that a score does not depend on the batch; and the layers'
    scores, in standard deviations of clean images, are averaged. Features are those of `models.features`. Differentiable, except where
    the set of neighbours changes. Cost: one pass of the model and `reference` distances; to fit, one pass for each of these images.
    """

    neighbours: int = 20
    """k: how many of the nearest clean images are looked at."""
    reference: int = 1000
    """How many clean images there are to choose from, drawn by patient."""
    layers: tuple[str, ...] = ()
    """Layers of the network to look at; left out, what its last linear layer is given."""
    weights: str | None = None
    """The file that `fit` has written. The settings above are then read from it."""
    sha256: str | None = None
    """The hash of that file: filled in, and checked where it is given."""

    def __post_init__(self) -> None:
        if self.neighbours < 2 or self.reference <= self.neighbours:
            raise PlanError(f"expected 2 neighbours at least and more images than that, got {self.neighbours} of {self.reference}")
        adopt(self, "detector", NAME, lessons.USE)

    @property
    def passes(self) -> int:
        return 1

    def __call__(self, model: DiagnosticModel, x: Images, draws: Draws) -> PerImage:
        tensors = lessons.statistics(self, NAME, x.device)
        scores, spreads = [], []
        for i, found in enumerate(features(model, x, draws, self.layers)):
            known = tensors[f"reference.{i}"]
            lessons.require_width(found, known.shape[1], self.weights)
            scores.append(dimension(found, known, self.neighbours))
            spreads.append(tensors[f"spread.{i}"])
        return lessons.summed(scores, spreads)

    @torch.no_grad()
    def fit(
        self, model: DiagnosticModel, data: Dataset, draws: Draws, *, out: str | Path | None = None, progress: Progress | None = None
    ) -> LID:
        """Keep the features of clean training images.

        Raises:
            DataError: fewer images than neighbours.
            PlanError: layers that do not exist.
        """
        some = subset(data, self.reference, draws.seed) if len(data) > self.reference else data
        if len(some) <= self.neighbours:
            raise DataError(f"{data.name}: expected more than {self.neighbours} clean images, got {len(some)}: give fewer neighbours")
        with still(model):
            seen = [features(model, x, d, self.layers) for x, _, d in lessons.batches(model, some, draws, progress)]
        tensors: dict[str, Tensor] = {}
        for i, parts in enumerate(zip(*seen, strict=True)):
            known = torch.cat(parts).cpu()
            own = dimension(known, known, self.neighbours, itself=True)
            tensors |= {f"reference.{i}": known, f"spread.{i}": lessons.spread(own)}
        return lessons.save(self, NAME, tensors, out)


def dimension(layer: Tensor, known: Tensor, k: int, *, itself: bool = False) -> PerImage:
    """The maximum-likelihood estimate from the k nearest of `known`; with `itself`, the nearest is the image and does not count.

    Differences are squared one by one: the quick way by products loses, in float32, what tells near neighbours apart.
    """
    distance = torch.stack([(known - one).square().sum(1) for one in layer])
    squared = distance.topk(k + itself, dim=1, largest=False).values[:, int(itself) :].clamp_min(TINY)
    logs = squared.log() / 2
    return -1 / (logs - logs[:, -1:]).mean(1).clamp_max(-TINY)
