"""An image in falling snow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.draws import Draws
from robustdx.perturbations.kernels import convolve, streak
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.scale import canvas, fitted, zoomed
from robustdx.perturbations.severity import Counts, Table, at, require_channels, require_tables
from robustdx.tensors import Images

LUMINANCE = (0.299, 0.587, 0.114)


@final
@dataclass(frozen=True, kw_only=True)
class Snow:
    """Falling snow (Hendrycks and Dietterich 2019): whitened, with streaks of bright flakes; for other lenses, dust in front of the light.

    Flakes are noise, enlarged, cut at a threshold, and blurred along the way they fall; they are laid over the image once as they are and
    once turned by half a turn. The image becomes kept x + (1 - kept) max(x, 1.5 grey + 0.5). An image has the same noise at all severities.
    Theirs change size and threshold as well, and whiten skin until nothing is left (`snow_standard`).
    """

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = True

    mean: Table = (-0.1, -0.06, -0.02, 0.02, 0.06)
    """Mean of the noise at each severity: the higher, the more flakes."""
    deviation: Table = (0.3, 0.3, 0.3, 0.3, 0.3)
    """Standard deviation of the noise."""
    size: Table = (3, 3, 3, 3, 3)
    """How large a flake is, in pixels of an image whose shorter side has 224."""
    threshold: Table = (0.5, 0.5, 0.5, 0.5, 0.5)
    """Noise below it is no flake."""
    radius: Counts = (12, 12, 12, 12, 12)
    """Half the length of a streak, in the same pixels."""
    sigma: Table = (4, 4, 4, 4, 4)
    """Standard deviation along a streak, in the same pixels."""
    kept: Table = (0.92, 0.9, 0.88, 0.86, 0.84)
    """How much of the image is not whitened."""

    def __post_init__(self) -> None:
        require_tables(mean=self.mean, threshold=self.threshold)
        require_tables(least=0, deviation=self.deviation)
        require_tables(least=1, size=self.size, radius=self.radius)
        require_tables(least=0.1, sigma=self.sigma)
        require_tables(least=0, most=1, kept=self.kept)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        kept = at(severity, self.kept)
        require_channels(x, "snow")
        flakes = fitted(self._flakes(x, severity, draws), x)
        grey = x if x.shape[1] == 1 else torch.einsum("bchw,c->bhw", x, x.new_tensor(LUMINANCE))[:, None]
        white = kept * x + (1 - kept) * torch.maximum(x, 1.5 * grey + 0.5)
        return (white + flakes + flakes.flip(2, 3)).clamp_(0, 1)

    def _flakes(self, x: Images, severity: int, draws: Draws) -> Images:
        """Streaks (B, 1, rows, columns) at the size of the tables."""
        noise = at(severity, self.mean) + at(severity, self.deviation) * draws.normal(like=canvas(x))
        large = zoomed(noise, at(severity, self.size))
        cut = torch.where(large < at(severity, self.threshold), 0, large).clamp(0, 1)
        angles = draws.fork("way").uniform(-135, -45, like=x[:, 0, 0, 0]).tolist()
        ways = [streak(at(severity, self.radius), at(severity, self.sigma), angle, 1) for angle in angles]
        return convolve(cut, ways, "replicate", "snow")
