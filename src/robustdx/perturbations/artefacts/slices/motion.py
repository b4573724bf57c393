"""A patient who moves while k-space is filled."""

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

POSITIONS = 8
"""How many times the patient moves during one slice."""


@final
@dataclass(frozen=True, kw_only=True)
class Motion:
    """The lines of k-space were measured one after another, with the patient at another place for each group of them.

    A shift by d multiplies a line by a phase: exp(-2 pi i (f . d)). Lines are measured from the middle of k-space outwards, so that the
    coarse picture stays; later groups of lines, counted along the phase direction (across or down, drawn), belong to other places. What
    is seen is blur and echoes of edges along that direction. Places are drawn once; they lie farther away with severity, and the patient
    moves earlier.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("mr",)
    random: ClassVar[bool] = True

    shift: Table = (0.004, 0.006, 0.009, 0.013, 0.018)
    """How far the patient moves, in shorter sides of the image (deviation)."""
    still: Table = (0.6, 0.45, 0.32, 0.22, 0.15)
    """The share of lines that is measured, from the middle of k-space outwards, before the patient moves."""

    def __post_init__(self) -> None:
        require_tables(least=0, most=0.2, shift=self.shift)
        require_tables(least=0, most=1, still=self.still)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "motion")
        flip = (uniforms(x, draws.fork("phase"), 1) < 0.5).view(-1, 1, 1, 1)
        paths = draws.fork("places").normal(like=x.new_empty(len(x), 2, POSITIONS, dtype=torch.float32))
        still = at(severity, self.still)
        edges = still + (1 - still) * uniforms(x, draws.fork("times"), POSITIONS - 1).sort(1).values
        edges[:, 0] = still
        far = paths * at(severity, self.shift) * min(x.shape[2:])
        upright = _moved(x.float(), far, edges)
        sideways = _moved(x.float().transpose(2, 3), far, edges).transpose(2, 3)
        return torch.where(flip, sideways, upright).clamp(0, 1).to(x.dtype)


def _moved(x: Images, far: torch.Tensor, edges: torch.Tensor) -> Images:
    """Lines along `down` of k-space belong to places: the group of a line is how many of the drawn times lie before it."""
    height, width = x.shape[2:]
    rows, columns = torch.fft.fftfreq(height, device=x.device), torch.fft.rfftfreq(width, device=x.device)
    group = torch.searchsorted(edges, (2 * rows.abs()).expand(len(x), -1).contiguous())
    down, across = (far[:, k].gather(1, group)[:, None, :, None] for k in (0, 1))
    still = (group == 0)[:, None, :, None]
    turn = -2 * math.pi * (rows[:, None] * down + columns * across)
    k_space = torch.fft.rfft2(x) * torch.where(still, torch.ones_like(turn) + 0j, torch.polar(torch.ones_like(turn), turn))
    return torch.fft.irfft2(k_space, s=(height, width))
