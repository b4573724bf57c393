"""An image seen through frosted glass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.kernels import blurred
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.scale import scale_of
from robustdx.perturbations.severity import Counts, Table, at, require_sides, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class GlassBlur:
    """Frosted glass (Hendrycks and Dietterich 2019): blurred, pixels taken from near by, blurred again.

    From the last pixel to the first, each takes what then lies up to `reach` pixels away; a round is repeated `rounds` times. The released
    code means to swap the two pixels, but copies one over the other; so do we. Two rounds at severity 3, where they have three: with three,
    severity 4 is milder (`glass_blur_standard`). Cost: numba, compiled at the first call.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = True

    sigma: Table = (0.7, 0.9, 1, 1.1, 1.5)
    """Standard deviation of both blurs at each severity, in pixels of an image whose shorter side has 224."""
    reach: Counts = (1, 2, 2, 3, 4)
    """How far a pixel is taken from, in the same pixels; at least one."""
    rounds: Counts = (2, 1, 2, 2, 2)
    """How often all pixels are taken from near by."""

    def __post_init__(self) -> None:
        require_tables(least=0.1, sigma=self.sigma)
        require_tables(least=1, reach=self.reach, rounds=self.rounds)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        sigma, rounds = at(severity, self.sigma), int(at(severity, self.rounds))
        reach = max(1, round(at(severity, self.reach) * scale_of(x)))
        require_sides(x, 2 * reach + 2, "glass_blur")
        where = self._sources(x, reach, rounds, draws)
        soft = blurred(x, sigma, "glass_blur").flatten(2)
        taken = soft.gather(2, where[:, None].expand(-1, x.shape[1], -1)).view_as(x)
        return blurred(taken, sigma, "glass_blur").clamp_(0, 1)

    def _sources(self, x: Images, reach: int, rounds: int, draws: Draws) -> torch.Tensor:
        """Where each pixel comes from, as an index (B, H W) into the flattened image."""
        from robustdx.perturbations.corruptions.shuffle import taken_from

        like = x.new_empty(len(x), *x.shape[2:], 2, dtype=torch.float32, device="cpu")
        moves = [draws.fork("round", i).uniform(0, 1, like=like).numpy() for i in range(rounds)]
        sources = [torch.from_numpy(taken_from([move[i] for move in moves], reach)) for i in range(len(x))]
        return torch.stack(sources).flatten(1).to(x.device)
