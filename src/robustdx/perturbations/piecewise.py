"""A few images at a time, where that is faster."""

from __future__ import annotations

from collections.abc import Callable

import torch

from robustdx.tensors import Images

CACHE = 5 * 2**18
"""Bytes that stay close to a processor core. Measured at 224 pixels and on one thread: to turn an image, sixteen at a time, takes 0.3 ms
on an idle machine but 0.9 on a busy one, where others fill the larger caches; two at a time 0.4 and 0.6."""


def piecewise(make: Callable[[Images], Images], x: Images) -> Images:
    """`make(x)` for a function that treats each image for itself, a few of them at a time on a CPU."""
    own = x[:1].numel() * x.element_size()
    few = max(1, CACHE // max(1, own)) * max(1, torch.get_num_threads())
    if x.device.type != "cpu" or len(x) <= few:
        return make(x)
    return torch.cat([make(part) for part in x.split(few)])
