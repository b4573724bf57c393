"""How much noise a picture holds."""

from __future__ import annotations

import numpy as np
import pywt

QUARTILE = 0.6744897501960817
"""Half of all values of a standard normal lie nearer to 0 than this."""

STILL = 1e-6
"""A noise that nobody could see: such a picture is given back as it is."""


def noise_of(picture: np.ndarray) -> float:
    """The standard deviation of the noise in a picture (H, W, C), the mean over its channels (Donoho & Johnstone 1994).

        sigma = median |d| / 0.6745,   d the finest diagonal wavelet coefficients (db2) that are not 0

    The same number as scikit-image's `estimate_sigma`, but 0 where a channel is flat, for which that has no number.
    """
    finest = np.abs(pywt.dwt2(picture, "db2", axes=(0, 1))[1][2])
    seen = [d[d != 0] for d in np.moveaxis(finest, -1, 0)]
    return float(np.mean([np.median(d) if d.size else 0.0 for d in seen])) / QUARTILE
