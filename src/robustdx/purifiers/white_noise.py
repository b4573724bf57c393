"""Gaussian noise for purifiers that need a great deal of it, several times as fast as numpy's and still one stream per image."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from robustdx.draws import Draws


def noise(draws: Draws, like: Tensor) -> Tensor:
    """Standard normal, one stream for each `like[i]`; shape, dtype and device of `like`.

    The stream of an image is Philox4x32-10 (Salmon et al. 2011), keyed by a whole number from the image's own draws, and turned into
    normal numbers by Box and Muller in float32: none lies beyond 5.8. Other numbers than `Draws.normal` gives, of the same kind.
    """
    from robustdx.purifiers.philox import normals  # numba is slow to import, and only wanted here

    def make() -> Tensor:
        out = np.empty((len(draws.ids), like[0].numel()), np.float32)
        for row, key in zip(out, draws.integers(0, 2**63).tolist(), strict=True):
            normals(np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32), row)
        return torch.from_numpy(out).view(-1, *like.shape[1:]).to(like)

    return draws.made("philox", like, make)
