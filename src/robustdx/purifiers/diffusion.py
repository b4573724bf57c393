"""Purification by diffusion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from robustdx.data import Dataset
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.purifiers.learning import taught
from robustdx.purifiers.learning.lessons import Lessons, Progress, require_learning, seeded
from robustdx.purifiers.learning.unet import UNet
from robustdx.purifiers.refusals import require_at_least
from robustdx.tensors import Images, PerImage, per_image

NAME = "diffusion"

LONG = 1000
"""Steps of the whole diffusion, from the image to noise; its variances go from 1e-4 to 0.02 in equal steps (Ho et al. 2020)."""


@final
@dataclass(frozen=True, kw_only=True)
class Diffusion:
    """Drowned in some noise, then led back by a diffusion model of clean images (DiffPure: Nie et al. 2022).

        z_t = sqrt(a_t) z + sqrt(1 - a_t) e,   z = 2x - 1,   t = time * 1000;   then ancestral steps from t to 0 (Ho et al. 2020)

    `fit` trains the model, a small U-Net that tells the noise e from z_t, on clean images; nothing is learned from any attack. DiffPure
    solves the reverse as a stochastic differential equation with a large network trained on millions of photographs: this one skips
    through it in `steps` ancestral steps, and knows only the images that it was given.

    Differentiable through every step, each of which is computed again on the way back, so that memory does not grow with them; any
    size, best that which it learned from. Cost: `steps` passes of the U-Net. Training: epochs forward and backward passes per image.
    """

    differentiable: ClassVar[bool] = True
    random: ClassVar[bool] = True
    USE: ClassVar[tuple[str, ...]] = ("time", "steps", "weights", "sha256")

    time: float = 0.1
    """How far into the noise, as a part of the whole way: more drowns more, of the attack and of the image; Nie et al. take 0.1 to 0.15."""
    steps: int = 10
    """Steps back."""
    width: int = 32
    """Channels of the U-Net's first level; each level below has twice as many."""
    epochs: int = 50
    """How often each training image is shown."""
    lr: float = 1e-3
    """Adam's first step size; it falls to 0 along a cosine."""
    batch_size: int = 16
    """Training images at a time."""
    weights: str | None = None
    """The file that `fit` has written. All settings but time and steps are then read from it."""
    sha256: str | None = None
    """The hash of that file: filled in, and checked where it is given."""

    def __post_init__(self) -> None:
        require_learning(self.width, self.epochs, self.lr, self.batch_size)
        require_at_least(1, steps=self.steps)
        if not 1 / LONG <= self.time <= 1:
            raise PlanError(f"time must lie between {1 / LONG} and 1, got {self.time:g}")
        taught.adopt(self, NAME)

    def __call__(self, x: Images, draws: Draws) -> Images:
        network = taught.network(self, NAME, x, timed=True)
        times = torch.linspace(self.time * LONG, 0, self.steps + 1).round().unique().flip(0).int().tolist()
        z = _drowned(2 * x - 1, draws.fork("noise").normal(like=x.detach()), torch.full((len(x),), times[0]))
        for t, s in pairwise(times):
            step = (network, z, t, s, draws.fork("back", t))
            z = checkpoint(_back, *step, use_reentrant=False, preserve_rng_state=False) if z.requires_grad else _back(*step)
        return ((z + 1) / 2).clamp(0, 1)

    def fit(
        self,
        data: Dataset,
        draws: Draws,
        *,
        size: tuple[int, int],
        channels: int = 3,
        out: str | Path | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Diffusion:
        """Train on the clean images of `data` at `size` and write the weights to `out`; the answer is this purifier with them.

        Labels are not looked at. The same draws give the same weights on the same machine.

        Raises:
            DataError: no images. RunError: the training has diverged, or the disk refuses.
        """
        lessons = Lessons(data, draws, self.batch_size, size, channels, device)
        with seeded(draws):
            network = lessons.teach(UNet(channels, self.width, timed=True), _cost, self.epochs, self.lr, NAME, progress)
        return taught.save(self, NAME, network, (channels, *size), len(data), out)


def _cost(network: nn.Module, x: Images, draws: Draws) -> PerImage:
    """How far the noise that the network tells is from the noise that was added, at a time drawn for each image."""
    noise, time = draws.fork("noise").normal(like=x), draws.fork("time").integers(1, LONG + 1)
    told = network(_drowned(2 * x - 1, noise, time), time.to(x.device, x.dtype) / LONG)
    return (told - noise).square().mean((1, 2, 3))


def _back(network: nn.Module, z: Images, t: int, s: int, draws: Draws) -> Images:
    """One ancestral step from time t to s: the mean and the noise of z_s given z_t and the image that the network sees in it."""
    left = _left()
    at, before = left[t], left[s]
    ratio = at / before
    noise = network(z, z.new_full((len(z),), t / LONG))
    clean = ((z - (1 - at) ** 0.5 * noise) / at**0.5).clamp(-1, 1)
    mean = (before**0.5 * (1 - ratio) * clean + ratio**0.5 * (1 - before) * z) / (1 - at)
    return mean + ((1 - before) * (1 - ratio) / (1 - at)) ** 0.5 * draws.normal(like=z.detach())


def _drowned(z: Images, noise: Images, time: Tensor) -> Images:
    """The images z at these times of the diffusion, (B,) whole numbers."""
    left = per_image(z.new_tensor([_left()[t] for t in time.tolist()]), z)
    return left.sqrt() * z + (1 - left).sqrt() * noise


@lru_cache(maxsize=1)
def _left() -> tuple[float, ...]:
    """How much of the image's variance is left after so many steps: 1 after none."""
    kept = 1 - torch.linspace(1e-4, 0.02, LONG, dtype=torch.float64)
    return (1.0, *kept.cumprod(0).tolist())
