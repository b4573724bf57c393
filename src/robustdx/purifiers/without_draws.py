"""A function of the images alone, used as a purifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from robustdx.draws import Draws
from robustdx.tensors import Images


@final
@dataclass(frozen=True)
class WithoutDraws:
    """Code that takes the images and nothing else, `f(x)`, called as a purifier is: `purify(x, draws)`.

    What is random in it cannot be repeated, as it does not come from the draws. It says neither that it is differentiable nor that it
    is not random, so neither is believed.
    """

    function: Callable[[Images], Images]
    """Images (B, C, H, W) in [0, 1] in and out."""

    def __call__(self, x: Images, draws: Draws) -> Images:
        return self.function(x)
