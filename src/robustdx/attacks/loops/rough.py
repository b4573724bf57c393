"""How a search in bfloat16 keeps account of the network that is judged, which is in float32."""

from __future__ import annotations

import math

from robustdx.attacks.loops.climb import Front
from robustdx.tensors import Images, Outputs, PerImage


class Rough:
    """What is known of a rough search: how far its gaps lie beside those of float32, and what it has claimed since float32 was asked."""

    def __init__(self, x: Images, ways: int) -> None:
        self.bias = x.new_zeros(len(x), ways)
        """What float32 adds to the rough gaps."""
        self.x_adv = x.clone()
        """The nearest image that looked beaten."""
        self.distance = x.new_full((len(x),), math.inf)
        self.raw = x.new_zeros(len(x), ways)
        """The rough gaps there."""

    def claim(self, front: Front, distance: PerImage, raw: Outputs) -> None:
        self.x_adv[front.at], self.distance[front.at], self.raw[front.at] = front.x_t.detach(), distance, raw
