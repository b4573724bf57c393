"""A network that has learned to take the perturbation away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import torch
from torch import nn

from robustdx.data import Dataset
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, still
from robustdx.purifiers.learning import taught
from robustdx.purifiers.learning.lessons import Lessons, Progress, require_learning, seeded
from robustdx.purifiers.learning.unet import UNet
from robustdx.tensors import Images, PerImage, per_image

NAME = "denoiser"


@final
@dataclass(frozen=True, kw_only=True)
class Denoiser:
    """A U-Net that has learned what was added to an image, and takes it off (Liao et al. 2018; after Naseer et al. 2020).

        purify(x) = clamp(x + u(x), 0, 1)

    `fit` trains it on clean images, each damaged by noise of its own strength: Gaussian or uniform, from none to `noise`. Given `damage`,
    half of the images are damaged by that instead, say by an attack; given `model`, it also keeps what that model answers (their logits
    guide). The networks of the papers are larger, and learned from adversarial images of photographs; none of their weights is here.

    Differentiable; any size. Cost: one pass of the U-Net. Training: epochs forward and backward passes per image.
    """

    differentiable: ClassVar[bool] = True
    random: ClassVar[bool] = False
    USE: ClassVar[tuple[str, ...]] = ("weights", "sha256")

    width: int = 32
    """Channels of the U-Net's first level; each level below has twice as many."""
    noise: float = 16 / 255
    """The strongest noise that it learns from: the Gaussian's standard deviation, and the uniform's half width, in pixel units."""
    epochs: int = 20
    """How often each training image is shown."""
    lr: float = 1e-3
    """Adam's first step size; it falls to 0 along a cosine."""
    batch_size: int = 16
    """Training images at a time."""
    weights: str | None = None
    """The file that `fit` has written. All other settings are then read from it."""
    sha256: str | None = None
    """The hash of that file: filled in, and checked where it is given."""

    def __post_init__(self) -> None:
        require_learning(self.width, self.epochs, self.lr, self.batch_size)
        if not 0 < self.noise <= 1:
            raise PlanError(f"noise must lie in (0, 1], got {self.noise:g}")
        taught.adopt(self, NAME)

    def __call__(self, x: Images, draws: Draws) -> Images:
        return _pure(taught.network(self, NAME, x, timed=False), x)

    def fit(
        self,
        data: Dataset,
        draws: Draws,
        *,
        size: tuple[int, int],
        channels: int = 3,
        damage: Callable[[Images, Draws], Images] | None = None,
        model: DiagnosticModel | None = None,
        out: str | Path | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Denoiser:
        """Train on the clean images of `data` at `size` and write the weights to `out`; the answer is this purifier with them.

        `damage(x, draws)` gives images to be repaired. Labels are not looked at. The same draws give the same weights on the same machine.

        Raises:
            DataError: no images. RunError: the training has diverged, or the disk refuses.
        """
        lessons = Lessons(data, draws, self.batch_size, size, channels, device)

        def cost(network: nn.Module, x: Images, draws: Draws) -> PerImage:
            pure = _pure(network, self._damaged(x, draws, damage))
            away = (pure - x).abs().mean((1, 2, 3))
            return away if model is None else away + (model(pure, draws) - model(x, draws).detach()).abs().mean(1)

        with seeded(draws), still(model if model is not None else nn.Identity()):
            network = lessons.teach(UNet(channels, self.width, timed=False), cost, self.epochs, self.lr, NAME, progress)
        return taught.save(self, NAME, network, (channels, *size), len(data), out)

    @torch.no_grad()
    def _damaged(self, x: Images, draws: Draws, damage: Callable[[Images, Draws], Images] | None) -> Images:
        """The images as the network is shown them; the draws say which are damaged how."""
        strength, kind, which = draws.fork("damage").uniform(0, 1, like=x.new_empty(len(x), 3)).unbind(1)
        even = per_image(kind < 0.5, x)
        noise = torch.where(even, draws.fork("uniform").uniform(-1, 1, like=x), draws.fork("normal").normal(like=x))
        hit = (x + self.noise * per_image(strength, x) * noise).clamp(0, 1)
        if damage is None:
            return hit
        with torch.enable_grad():
            other = damage(x, draws.fork("given")).detach()
        return torch.where(per_image(which < 0.5, x), other, hit)


def _pure(network: nn.Module, x: Images) -> Images:
    return (x + network(x)).clamp(0, 1)
