"""Noise of four kinds: each pixel and channel by itself, the same draws at every severity, more of them felt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from scipy.stats import poisson

from robustdx.draws import Draws
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Counts, Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class GaussianNoise:
    """Noise of electronics in poor light (Hendrycks and Dietterich 2019): x + sigma n, with n standard normal."""

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = True

    sigma: Table = (0.08, 0.12, 0.18, 0.26, 0.38)
    """Standard deviation at each severity, where white is 1."""

    def __post_init__(self) -> None:
        require_tables(least=0, sigma=self.sigma)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        return (x + at(severity, self.sigma) * draws.normal(like=x)).clamp_(0, 1)


@final
@dataclass(frozen=True, kw_only=True)
class SpeckleNoise:
    """Noise that grows with brightness, as in ultrasound (Hendrycks and Dietterich 2019): x + sigma n x, with n standard normal."""

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = True

    sigma: Table = (0.15, 0.2, 0.35, 0.45, 0.6)
    """Standard deviation at each severity, as a fraction of the pixel."""

    def __post_init__(self) -> None:
        require_tables(least=0, sigma=self.sigma)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        return (x + x * (at(severity, self.sigma) * draws.normal(like=x))).clamp_(0, 1)


@final
@dataclass(frozen=True, kw_only=True)
class ImpulseNoise:
    """Dead and burning pixels, salt and pepper (Hendrycks and Dietterich 2019): black or white, half of each, channel by channel."""

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = True

    amount: Table = (0.03, 0.06, 0.09, 0.17, 0.27)
    """Share of the values that are lost, at each severity."""

    def __post_init__(self) -> None:
        require_tables(least=0, most=1, amount=self.amount)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        half = at(severity, self.amount) / 2
        chance = draws.uniform(0, 1, like=x)
        return x.masked_fill(chance < half, 0.0).masked_fill_(chance >= 1 - half, 1.0)


@final
@dataclass(frozen=True, kw_only=True)
class ShotNoise:
    """Noise of counting photons, or X-ray quanta: too low a dose (Hendrycks and Dietterich 2019): Poisson(photons x) / photons.

    Counts are drawn by inverting the distribution at one uniform number for each value, so that a lower dose moves each value the same
    way and farther. Images are rounded to 8 bits before, so that 256 distributions are enough.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = True

    photons: Counts = (60, 25, 12, 5, 3)
    """How many photons white stands for, at each severity."""

    def __post_init__(self) -> None:
        require_tables(least=1, most=10_000, photons=self.photons)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        photons = at(severity, self.photons)
        levels = (x * 255).round()
        most = int(poisson.ppf(1 - 1e-9, photons)) + 1
        table = torch.from_numpy(poisson.cdf(range(most), torch.arange(256).numpy()[:, None] * photons / 255)).to(x.device)
        # One search for all 256 distributions: the table of a level lies above those of the levels before it.
        ladder = (table + 2 * torch.arange(256, device=x.device)[:, None]).flatten()
        chance = draws.uniform(0, 1, like=x).double() + 2 * levels
        place = torch.searchsorted(ladder, chance.contiguous(), right=True)
        return ((place - most * levels) / photons).clamp_(0, 1).to(x.dtype)
