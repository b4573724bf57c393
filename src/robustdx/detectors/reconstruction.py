"""How badly an image is put together from what clean images are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.data import Dataset
from robustdx.detectors import lessons
from robustdx.detectors.lessons import Progress
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel
from robustdx.models.learned import adopt
from robustdx.tensors import Images, PerImage

NAME = "reconstruction-error"
TINY = 1e-12


@final
@dataclass(frozen=True, kw_only=True)
class ReconstructionError:
    """What is left of an image once its patches are rebuilt from the principal components of clean ones (after Meng & Chen 2017).


        score = the root mean square of x - decode(encode(x)), in pixel units

    Meng and Chen train a network to encode and decode; this is its linear form, which is fitted in one pass, has one optimum, and can be
    differentiated exactly. Patches lie side by side; the border is repeated to fill the last. It never asks the model. Cost: about
    that of one small convolution; to fit, one look at each image.
    """

    patch: int = 8
    """Height and width of a patch."""
    kept: float = 0.98
    """Share of the variance of clean patches that the components have together; the fewest that reach it are taken."""
    weights: str | None = None
    """The file that `fit` has written. The settings above are then read from it."""
    sha256: str | None = None
    """The hash of that file: filled in, and checked where it is given."""

    def __post_init__(self) -> None:
        if not 2 <= self.patch <= 32 or not 0 < self.kept < 1:
            raise PlanError(f"patch must lie in 2 to 32 and kept between 0 and 1, got {self.patch} and {self.kept:g}")
        adopt(self, "detector", NAME, lessons.USE)

    @property
    def passes(self) -> int:
        return 0

    def __call__(self, model: DiagnosticModel, x: Images, draws: Draws) -> PerImage:
        tensors = lessons.statistics(self, NAME, x.device)
        flat = patches(x.float(), self.patch)
        if flat.shape[2] != len(tensors["mean"]):
            raise PlanError(f"{self.weights} was fitted to images with other channels than these, which have {x.shape[1]}: fit another")
        return residual(flat, tensors["mean"], tensors["components"])

    @torch.no_grad()
    def fit(
        self, model: DiagnosticModel, data: Dataset, draws: Draws, *, out: str | Path | None = None, progress: Progress | None = None
    ) -> ReconstructionError:
        """Learn the principal components of the patches of clean images. The model says only at which size they are read.

        Raises:
            DataError: no images.
        """
        count, total, products = 0, torch.zeros(()).double(), torch.zeros(()).double()
        for x, _, _ in lessons.batches(model, data, draws, progress):
            flat = patches(x, self.patch).flatten(0, 1).double().cpu()
            count, total, products = count + len(flat), total + flat.sum(0), products + flat.T @ flat
        mean = total / count
        return lessons.save(self, NAME, {"mean": mean, "components": components(products / count - mean.outer(mean), self.kept)}, out)


def patches(x: Images, side: int) -> Tensor:
    """(B, N, C * side * side): the patches of each image, side by side."""
    height, width = x.shape[2:]
    padded = F.pad(x, (0, -width % side, 0, -height % side), mode="replicate")
    return F.unfold(padded, side, stride=side).transpose(1, 2)


def components(covariance: Tensor, kept: float) -> Tensor:
    """(K, D): the fewest principal directions that hold this share of the variance."""
    values, vectors = torch.linalg.eigh(covariance)
    share = values.clamp_min(0).flip(0).cumsum(0) / values.clamp_min(0).sum().clamp_min(TINY)
    k = int((share < kept).sum()) + 1
    return vectors.T.flip(0)[:k]


def residual(flat: Tensor, mean: Tensor, basis: Tensor) -> PerImage:
    """The root mean square of what the components do not explain."""
    centred = flat - mean
    left = centred - centred @ basis.T @ basis
    return (left.square().mean((1, 2)) + TINY).sqrt()
