"""Sums of shifted images: blur along a line, and along both axes."""

from __future__ import annotations

from math import ceil, cos, exp, radians, sin

from torch import Tensor
from torch.nn.functional import pad

from robustdx.perturbations.piecewise import piecewise
from robustdx.tensors import Images

Taps = list[tuple[int, int, float]]
"""(columns to the right, rows down, weight) of each pixel that is summed up."""
NOTHING = 1e-6
"""Weights below it are left out."""


def trail(radius: float, sigma: float, angle: float) -> Taps:
    """The one-sided bell of ImageMagick's motion blur: 2 ceil(radius) + 1 pixels from the pixel itself on, at an angle in degrees.

    Weight i is exp(-i^2 / (2 sigma^2)), over their sum; it stands at i (cos, sin) of the angle, rounded, halves down.
    """
    weights = [exp(-((i / sigma) ** 2) / 2) for i in range(2 * ceil(radius) + 1)]
    c, s, total = cos(radians(angle)), sin(radians(angle)), sum(weights)
    found: dict[tuple[int, int], float] = {}
    for i, weight in enumerate(weights):
        at = (_rounded(i * c), _rounded(i * s))
        found[at] = found.get(at, 0.0) + weight / total
    return [(dx, dy, weight) for (dx, dy), weight in found.items() if weight > NOTHING]


def bell(sigma: float, truncate: float) -> list[float]:
    """The weights of a Gaussian from -r to r pixels, r the whole pixel nearest to `truncate` sigma."""
    radius = int(truncate * sigma + 0.5)
    weights = [exp(-((i / sigma) ** 2) / 2) for i in range(-radius, radius + 1)]
    return [weight / sum(weights) for weight in weights]


def framed(x: Images, by: int) -> Images:
    """The images with so many more pixels on every side, as their last one."""
    return pad(x, (by, by, by, by), mode="replicate")


def smeared(wide: Images, by: int, taps: Taps, h: int, w: int) -> Images:
    """The weighted sum of pixels of images that were framed by so many."""
    places = [(slice(by + dy, by + dy + h), slice(by + dx, by + dx + w)) for dx, dy, _ in taps]
    weights = [weight for *_, weight in taps]
    return piecewise(lambda part: _summed([part[:, :, rows, columns] for rows, columns in places], weights), wide)


def blurred(wide: Images, by: int, weights: list[float]) -> Images:
    """Along rows and then along columns, images that were framed by so many; the same weights on both."""
    h, w, reach = wide.shape[2] - 2 * by, wide.shape[3] - 2 * by, len(weights) // 2

    def one_and_other(part: Images) -> Images:
        used = part[..., by - reach : by + reach + h, :]
        across = _summed([used[..., by + i : by + i + w] for i in range(-reach, reach + 1)], weights)
        return _summed([across[..., i : i + h, :] for i in range(2 * reach + 1)], weights)

    return piecewise(one_and_other, wide)


def _summed(views: list[Tensor], weights: list[float]) -> Tensor:
    total = views[0] * weights[0]
    for view, weight in zip(views[1:], weights[1:], strict=True):
        total.add_(view, alpha=weight)
    return total


def _rounded(value: float) -> int:
    """To the nearest whole number, halves down, whatever the last bits of a cosine."""
    return ceil(round(value, 9) - 0.5)


def reach_of(taps: Taps) -> int:
    """How far the farthest pixel stands."""
    return max(max(abs(dx), abs(dy)) for dx, dy, _ in taps)
