"""How alike two response maps of an image are, and how much of one lies inside a region: numbers for what pictures show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
SMALLEST_WINDOW = 7
"""Rows and columns that structural similarity looks at together, where the map has so many."""


def agreement(first: Floats, second: Floats, top: float = 0.1) -> dict[str, float]:
    """Two maps (H, W) in [0, 1] of one image, before and after.

    `pearson` and `spearman` from -1 to 1 over the pixels; `top_overlap`, the share of pixels that the strongest `top` of both have in
    common (`top` itself is chance, 1 the same place); `ssim`, structural similarity (Wang et al. 2004). NaN where a map is the same
    everywhere, except for ssim. Cost: sorting the pixels.
    """
    from scipy.stats import rankdata
    from skimage.metrics import structural_similarity

    a, b = (np.asarray(m, dtype=np.float64) for m in (first, second))
    window = min(SMALLEST_WINDOW, *a.shape)
    ranks = rankdata(a).ravel(), rankdata(b).ravel()
    return {
        "pearson": _correlation(a.ravel(), b.ravel()),
        "spearman": _correlation(*ranks),
        "top_overlap": top_overlap(ranks[0], ranks[1], top),
        "ssim": float(structural_similarity(a, b, data_range=1.0, win_size=window - (window + 1) % 2)) if window > 2 else float("nan"),
    }


MEASURES: Sequence[str] = ("pearson", "spearman", "top_overlap", "ssim")


def top_overlap(first: Floats, second: Floats, top: float) -> float:
    """Of the k = `top` of all pixels with the strongest response in one map, the share that is among those of the other.

    Pixels as strong as the k-th share what is left of the k places equally, so that the order of the pixels does not matter; in common is
    the smaller of a pixel's two shares, so that a map and itself have 1.
    """
    a, b = np.ravel(first), np.ravel(second)
    if a.min() == a.max() or b.min() == b.max():
        return float("nan")
    k = max(1, round(top * a.size))
    return float(np.minimum(_places(a, k), _places(b, k)).sum() / k)


def share_inside(response: Floats, mask: NDArray[np.bool_]) -> float:
    """The share of a response (H, W), at least 0, that lies inside a region; NaN where there is no response."""
    total = float(np.sum(response, dtype=np.float64))
    return float(np.sum(response[np.asarray(mask, bool)], dtype=np.float64)) / total if total > 0 else float("nan")


def _places(values: Floats, k: int) -> NDArray[np.float64]:
    """1 where a value is among the k largest, 0 where it is not, and a share where it ties with the k-th."""
    kth = np.partition(values, -k)[-k]
    above, tied = values > kth, values == kth
    return above + tied * ((k - above.sum()) / tied.sum())


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0 else float("nan")
