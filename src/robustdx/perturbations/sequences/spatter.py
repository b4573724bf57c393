"""Drops on the lens that trickle down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor
from torch.nn.functional import pad

from robustdx.draws import Draws
from robustdx.perturbations.piecewise import piecewise
from robustdx.perturbations.scale import REFERENCE, fitted
from robustdx.perturbations.sequences.contours import distance, edges, equalised
from robustdx.perturbations.sequences.frames import layer_size, places, require
from robustdx.perturbations.sequences.refusals import require_above_zero, require_finite, require_not_below_zero
from robustdx.perturbations.sequences.smear import Taps, bell, blurred, framed, smeared
from robustdx.tensors import Images

WATER = (175 / 255, 238 / 255, 238 / 255)
"""Pale turquoise."""
FLOW = (0.05, 0.1, 0.15, 0.7)
"""How the liquid of a pixel is spread from one frame to the next: over one row above, its own, and two below."""
EMBOSS: Taps = [(-1, -1, -2), (0, -1, -1), (-1, 0, -1), (0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 2)]
"""Light from the upper left."""
THIRDS = [1 / 3] * 3
FAR = 20
"""Pixels beyond which the distance from an edge counts as the same."""
CANNY = (50, 150)
"""Gradients between which an edge has to hang together with a clearer one."""
STRENGTH = 0.6
"""How much of the water's colour is added where it is thickest."""


@final
@dataclass(frozen=True, kw_only=True)
class Spatter:
    """Drops on the lens, trickling down (Hendrycks and Dietterich 2019, the validation sequences of ImageNet-P).

    Normal noise, blurred, what is thick of it kept; shaded by the distance from its edges (Canny, exact distances up to 20 pixels,
    even histogram, light from the upper left) and added in pale turquoise, times 0.6. On grey images, in its grey. By default the
    drops come slowly: the first frame is clean.
    """

    compared: ClassVar[Literal["previous", "first"]] = "previous"
    random: ClassVar[bool] = True

    mean: float = 0.65
    """Mean of the noise."""
    std: float = 0.27
    """Its standard deviation."""
    sigma: float = 3.7
    """Width of the blur, in pixels of an image of `side`."""
    threshold: float = 0.69
    """What of it is liquid."""
    amount: float = 0.0
    """How much is seen of it in the first frame: 0 nothing, 1 as in the released code."""
    amount_step: float = 0.1
    """How much more from frame to frame, up to 1."""
    side: int = REFERENCE
    """Shorter side of the images that pixels belong to; drops take the same share of images of another size."""

    def __post_init__(self) -> None:
        require_above_zero(std=self.std, sigma=self.sigma, side=self.side)
        require_not_below_zero(amount=self.amount, amount_step=self.amount_step)
        require_finite(mean=self.mean, threshold=self.threshold)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        amounts = [min(amount, 1.0) for amount in places(self.amount, self.amount_step, count)]
        return _spattered(x, self._liquid(x, draws), amounts)

    def _liquid(self, x: Images, draws: Draws) -> Tensor:
        """(B, 1, rows, columns): where there is liquid, and how thick."""
        weights = bell(self.sigma, 4)
        noise = draws.fork("liquid").normal(like=x.new_empty(len(x), 1, *layer_size(x, self.side))).mul_(self.std).add_(self.mean)
        reach = len(weights) // 2
        thick = blurred(framed(noise, reach), reach, weights)
        return thick * (thick >= self.threshold)


def _spattered(x: Images, liquid: Tensor, amounts: list[float]) -> Iterator[Images]:
    water = x.new_tensor(WATER if x.shape[1] == 3 else [sum(WATER) / 3]).view(1, -1, 1, 1)
    for amount in amounts:
        yield torch.addcmul(x, fitted(piecewise(shaded, liquid), x), water, value=STRENGTH * amount).clamp_(0, 1) if amount else x.clone()
        liquid = trickled(liquid)


def shaded(liquid: Tensor) -> Tensor:
    """Drops with light and shadow: 1 where a picture has its brightest, 0 where it is dry."""
    grey = (liquid.clamp(0, 1) * 255).floor_()
    far = distance(edges(grey, *CANNY), FAR).to(grey)
    levels = blurred(framed(far, 1), 1, THIRDS).add_(1e-4).long()
    even = equalised(levels, FAR + 1).to(grey)
    lit = smeared(framed(even, 1), 1, EMBOSS, *even.shape[2:]).clamp_(0, 255)
    drops = grey * blurred(framed(lit, 1), 1, THIRDS).round_()
    return drops / drops.amax((1, 2, 3), keepdim=True).clamp_(min=1)


def trickled(liquid: Tensor) -> Tensor:
    """The liquid one frame later."""
    rows = liquid.shape[2]
    tall = pad(liquid, (0, 0, 2, 1))
    above, own, below, farther = (FLOW[0], 3), (FLOW[1], 2), (FLOW[2], 1), (FLOW[3], 0)
    total = torch.zeros_like(liquid)
    for weight, start in (above, own, below, farther):
        total.add_(tall[:, :, start : start + rows], alpha=weight)
    return total
