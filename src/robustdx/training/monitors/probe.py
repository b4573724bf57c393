"""How the loss around a few validation images bends: what tells a robust network from one that only fools a single step."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.attacks import FGSM, PGD
from robustdx.data import Dataset
from robustdx.data.batches import batch
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, still
from robustdx.tensors import Images, Labels, PerImage
from robustdx.threats import Threat
from robustdx.training.order import classes_of
from robustdx.training.precision import computing


@final
@dataclass(frozen=True, kw_only=True)
class Probe:
    """Four numbers on the weights as they are (not their average), in eval mode.

        one_step_accuracy     accuracy on FGSM's images
        several_step_accuracy accuracy on PGD's
        gradient_cosine       mean cos(grad at x, grad at a random point of the ball) (Andriushchenko and Flammarion 2020, section 4)
        gradient_spread       mean participation ratio (|grad|_1 / |grad|_2)^2 / pixels: 1 where all pixels matter alike,
                              1 / pixels where one alone does

    Accuracy is the share of right decisions. Cost per image: steps + 3 forward and backward passes, and two forward.
    """

    images: int = 96
    """How many validation images, class by class in turn, so that each class is among them."""
    steps: int = 10
    """Steps of PGD."""

    def __call__(
        self, model: DiagnosticModel, dataset: Dataset, size: tuple[int, int], threat: Threat, seed: int, precision: str, batch_size: int
    ) -> dict[str, float]:
        """`dataset` is the validation set; the same seed draws the same random points in every epoch."""
        indices = in_turn(dataset)[: self.images]
        found: list[Tensor] = []
        with still(model), computing(model, precision):
            for start in range(0, len(indices), batch_size):
                some = indices[start : start + batch_size]
                pixels, y = batch(dataset, some, size, model.channels)
                x = (pixels.to(model.mean.device).float() / 255).contiguous(memory_format=torch.channels_last)
                draws = Draws(seed, tuple(dataset.examples[i].id for i in some), ("probe",))
                found.append(self._numbers(model, x, y.to(x.device), threat, draws))
        names = ("one_step_accuracy", "several_step_accuracy", "gradient_cosine", "gradient_spread")
        return {name: round(float(value), 6) for name, value in zip(names, torch.cat(found, 1).mean(1), strict=True)}

    def _numbers(self, model: DiagnosticModel, x: Images, y: Labels, threat: Threat, draws: Draws) -> Tensor:
        """(4, B): one row for each number."""
        pgd = PGD(steps=self.steps, early_stop=False, keep="last")
        right = [accuracy(model, attack(model, x, y, threat, draws.fork("attack")), y, draws) for attack in (FGSM(), pgd)]
        here = gradient(model, x, y, draws)
        there = gradient(model, threat.sample(x, draws.fork("neighbour")), y, draws)
        return torch.stack([*right, F.cosine_similarity(here, there), spread(here)])


@torch.no_grad()
def accuracy(model: DiagnosticModel, x: Images, y: Labels, draws: Draws) -> PerImage:
    """The share of an image's decisions that are right."""
    return 1 - model.task.errors(model(x, draws), y)


@torch.enable_grad()
def gradient(model: DiagnosticModel, x: Images, y: Labels, draws: Draws) -> Tensor:
    """(B, pixels): the gradient of each image's loss at x."""
    leaf = x.detach().requires_grad_()
    (grad,) = torch.autograd.grad(model.task.loss(model(leaf, draws), y).sum(), leaf)
    return grad.flatten(1).float()


def spread(grad: Tensor) -> PerImage:
    """The participation ratio of the entries of each gradient, as a share of their number; 0 where the gradient vanishes."""
    longest = grad.abs().amax(1, keepdim=True).clamp_min(torch.finfo(grad.dtype).tiny)
    scaled = (grad / longest).abs()
    return scaled.sum(1).square() / (scaled.square().sum(1) * grad.shape[1]).clamp_min(1e-12)


def in_turn(dataset: Dataset) -> list[int]:
    """Where the images of a set stand, one of each class after the other, each class in the order of the set."""
    classes = classes_of(dataset)
    rows = [[i for i, c in enumerate(classes) if c == k] for k in sorted(set(classes))]
    return [i for i in chain.from_iterable(zip_longest(*rows)) if i is not None]
