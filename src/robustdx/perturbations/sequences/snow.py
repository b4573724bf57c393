"""Snow that is blown past, its direction turning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import ClassVar, Literal, final

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from robustdx.draws import Draws
from robustdx.perturbations.scale import REFERENCE, fitted
from robustdx.perturbations.sequences.frames import layer_size, places, require
from robustdx.perturbations.sequences.refusals import require_above_zero, require_finite, require_not_below_zero
from robustdx.perturbations.sequences.smear import Taps, framed, reach_of, smeared, trail
from robustdx.tensors import Images

LUMA = (0.299, 0.587, 0.114)
"""How bright red, green and blue are to the eye (ITU-R BT.601)."""
LEFT, PALE, LIFT = 0.85, 1.5, 0.5
"""How much of the image is left, and the grey that is laid over the rest: 1.5 luma + 0.5."""


@final
@dataclass(frozen=True, kw_only=True)
class Snow:
    """Flakes that are blown past, and a paler image (Hendrycks and Dietterich 2019, ImageNet-P). No clinic has it; it is there to compare.

    Normal noise, enlarged, the brightest of it kept, smeared along the wind, and laid over the image twice, once upside down:
    0.85 x + 0.15 max(x, 1.5 luma + 0.5) + layer + layer turned by 180 degrees. By default it begins to snow: the first frame is clean.
    """

    compared: ClassVar[Literal["previous", "first"]] = "previous"
    random: ClassVar[bool] = True

    mean: float = 0.05
    """Mean of the noise."""
    std: float = 0.3
    """Its standard deviation."""
    threshold: float = 0.5
    """What of it becomes flakes."""
    flake: float = 3.0
    """Side of a flake, in pixels of an image of `side`."""
    radius: float = 14.0
    """Half the length of a flake's trail, in the same pixels."""
    sigma: float = 4.0
    """How fast the trail fades, in the same pixels."""
    angle: float = -150.0
    """Direction of the wind in the first frame, in degrees."""
    angle_step: float = 4.0
    """Degrees by which it turns from frame to frame."""
    amount: float = 0.0
    """How hard it snows in the first frame: 0 not at all, 1 as in the released code."""
    amount_step: float = 0.1
    """How much harder from frame to frame, up to 1."""
    side: int = REFERENCE
    """Shorter side of the images that pixels belong to; flakes take the same share of images of another size."""

    def __post_init__(self) -> None:
        require_above_zero(std=self.std, flake=self.flake, radius=self.radius, sigma=self.sigma, side=self.side)
        require_not_below_zero(amount=self.amount, amount_step=self.amount_step)
        require_finite(mean=self.mean, threshold=self.threshold, angle=self.angle, angle_step=self.angle_step)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        trails = [trail(self.radius, self.sigma, angle) for angle in places(self.angle, self.angle_step, count)]
        amounts = [min(amount, 1.0) for amount in places(self.amount, self.amount_step, count)]
        reach = max(map(reach_of, trails))
        return _fallen(x, framed(self._flakes(x, draws), reach), reach, list(zip(trails, amounts, strict=True)))

    def _flakes(self, x: Images, draws: Draws) -> Tensor:
        """(B, 1, rows, columns): the flakes before the wind takes them, on 8 bits."""
        h, w = layer_size(x, self.side)
        cells = (ceil(h / self.flake), ceil(w / self.flake))
        noise = draws.fork("flakes").normal(like=x.new_empty(len(x), 1, *cells)).mul_(self.std).add_(self.mean)
        size = [max(n, round(c * self.flake)) for n, c in zip((h, w), cells, strict=True)]
        large = interpolate(noise, size=size, mode="bilinear", align_corners=True)
        top, left = (size[0] - h) // 2, (size[1] - w) // 2
        flakes = large[..., top : top + h, left : left + w]
        return (flakes * (flakes >= self.threshold)).clamp_(0, 1).mul_(255).floor_().div_(255)


def _fallen(x: Images, flakes: Tensor, reach: int, weather: list[tuple[Taps, float]]) -> Iterator[Images]:
    """The image as it snows: the trail of each frame and how hard."""
    h, w = flakes.shape[2] - 2 * reach, flakes.shape[3] - 2 * reach
    gain = _paler(x) - x
    for line, amount in weather:
        if amount == 0:
            yield x.clone()
            continue
        layer = smeared(flakes, reach, line, h, w)
        yield torch.add(x, gain + fitted(layer + layer.flip((2, 3)), x), alpha=amount).clamp_(0, 1)


def _paler(x: Images) -> Images:
    """The image as it looks through snow."""
    luma = x if x.shape[1] == 1 else (x * x.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return LEFT * x + (1 - LEFT) * torch.maximum(x, PALE * luma + LIFT)
