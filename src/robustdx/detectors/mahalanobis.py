"""How far the features of an image lie from those of every class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from robustdx.data import Dataset
from robustdx.detectors import lessons
from robustdx.detectors.lessons import Progress
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, still
from robustdx.models.features import features
from robustdx.models.learned import adopt
from robustdx.tensors import Images, PerImage

NAME = "mahalanobis"
TINY = 1e-9
"""Directions with less than this share of the largest variance are taken to have none."""


@final
@dataclass(frozen=True, kw_only=True)
class Mahalanobis:
    """Squared Mahalanobis distance of the features to the nearest class (Lee et al. 2018, section 2.2, equation 2).

        score = min_c (f(x) - m_c)' S^-1 (f(x) - m_c),    S = the covariance around the class means, one for all classes

    Each layer's score is counted in standard deviations of the clean images it was fitted to, and the mean over layers taken. Lee et al.
    weigh the layers by a logistic regression on attacked images, and add noise to the image first; both are left out: `fit` sees clean
    images only. Where several findings may be true at once, there is one Gaussian for all images. Features are those of
    `models.features`. Differentiable. Cost: one pass of the model; to fit, one pass per image.
    """

    layers: tuple[str, ...] = ()
    """Layers of the network to look at; left out, what its last linear layer is given."""
    shrinkage: float = 0.01
    """Share of the covariance that is replaced by its mean variance, equal in all directions; 0: the covariance itself, pseudo-inverted."""
    weights: str | None = None
    """The file that `fit` has written. The settings above are then read from it."""
    sha256: str | None = None
    """The hash of that file: filled in, and checked where it is given."""

    def __post_init__(self) -> None:
        if not 0 <= self.shrinkage <= 1:
            raise PlanError(f"shrinkage must lie in [0, 1], got {self.shrinkage:g}")
        adopt(self, "detector", NAME, lessons.USE)

    @property
    def passes(self) -> int:
        return 1

    def __call__(self, model: DiagnosticModel, x: Images, draws: Draws) -> PerImage:
        tensors = lessons.statistics(self, NAME, x.device)
        scores, spreads = [], []
        for i, found in enumerate(features(model, x, draws, self.layers)):
            whiten, means = tensors[f"whiten.{i}"], tensors[f"means.{i}"]
            lessons.require_width(found, whiten.shape[1], self.weights)
            scores.append(nearest(found, whiten, means))
            spreads.append(tensors[f"spread.{i}"])
        return lessons.summed(scores, spreads)

    @torch.no_grad()
    def fit(
        self, model: DiagnosticModel, data: Dataset, draws: Draws, *, out: str | Path | None = None, progress: Progress | None = None
    ) -> Mahalanobis:
        """Learn the classes' means and the covariance from clean training images with their labels.

        Raises:
            DataError: no images.
            PlanError: layers that do not exist.
        """
        with still(model):
            seen = [(features(model, x, d, self.layers), y) for x, y, d in lessons.batches(model, data, draws, progress)]
        y = torch.cat([labels for _, labels in seen])
        classes = y if data.kind != "multilabel" else torch.zeros(len(y), dtype=torch.long)
        tensors: dict[str, Tensor] = {}
        for i, parts in enumerate(zip(*(found for found, _ in seen), strict=True)):
            layer = torch.cat(parts).cpu()
            whiten, means = gaussians(layer, classes, self.shrinkage)
            tensors |= {f"whiten.{i}": whiten, f"means.{i}": means, f"spread.{i}": lessons.spread(nearest(layer, whiten, means))}
        return lessons.save(self, NAME, tensors, out)


def gaussians(layer: Tensor, classes: Tensor, shrinkage: float) -> tuple[Tensor, Tensor]:
    """(D, D) W with W'W the inverse of the shared covariance, and the class means seen through it, (C, D).

    Classes without images are left out.
    """
    f = layer.double()
    present, of = classes.unique(return_inverse=True)
    means = torch.stack([f[of == c].mean(0) for c in range(len(present))])
    centred = f - means[of]
    covariance = centred.T @ centred / len(f)
    even = covariance.diagonal().mean() * torch.eye(len(covariance), dtype=f.dtype)
    values, vectors = torch.linalg.eigh((1 - shrinkage) * covariance + shrinkage * even)
    flat = values <= TINY * values.max().clamp_min(TINY)
    whiten = torch.where(flat, 0, values.clamp_min(1e-300).rsqrt())[:, None] * vectors.T
    return whiten.float(), (means @ whiten.T).float()


def nearest(layer: Tensor, whiten: Tensor, means: Tensor) -> PerImage:
    """Squared distance to the nearest mean, in the whitened space."""
    return ((layer @ whiten.T)[:, None, :] - means).square().sum(2).amin(1)
