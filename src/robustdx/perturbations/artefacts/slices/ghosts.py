"""Ghosts along the phase direction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.fields import require_picture, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Ghosts:
    """Faint copies of the patient along the phase direction, from breath, pulse, or unequal echoes.

    Lines of k-space have a periodic error of phase: line j is multiplied by exp(i a cos(2 pi j / n + p)), which adds copies shifted by
    1/n of the picture, the first of them J1(a) strong (a Bessel function, about a/2), and what is shown is the magnitude. n of 2 to 5,
    p and the direction (across or down) are drawn once, and a grows.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("mr",)
    random: ClassVar[bool] = True

    strength: Table = (0.18, 0.32, 0.48, 0.68, 0.95)
    """The amplitude a."""

    def __post_init__(self) -> None:
        require_tables(least=0, strength=self.strength)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "ghosts")
        u = uniforms(x, draws.fork("ghosts"), 3).view(-1, 3, 1, 1, 1)
        copies, phase = (2 + 4 * u[:, 0]).floor(), 2 * math.pi * u[:, 1]
        down = _ghosted(x.float(), at(severity, self.strength), copies, phase)
        across = _ghosted(x.float().transpose(2, 3), at(severity, self.strength), copies, phase).transpose(2, 3)
        return torch.where(u[:, 2] < 0.5, down, across).clamp(0, 1).to(x.dtype)


def _ghosted(x: Images, strength: float, copies: torch.Tensor, phase: torch.Tensor) -> Images:
    lines = torch.fft.fftfreq(x.shape[2], 1 / x.shape[2], device=x.device).view(1, 1, -1, 1)
    error = strength * torch.cos(2 * math.pi * lines / copies + phase)
    return torch.fft.ifft(torch.fft.fft(x, dim=2) * torch.polar(torch.ones_like(error), error), dim=2).abs()
