"""Images that are one picture: byte for byte, pixel for pixel, or re-encoded, resized, cropped, turned or photographed again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from robustdx.data.inspection.alignment import agreements
from robustdx.data.inspection.fingerprint import Fingerprint, Progress, same_pixels
from robustdx.data.inspection.lookalikes import lookalikes
from robustdx.data.protocol import Dataset

Copy = Literal["same file", "same pixels", "near"]

_PROMISING = 0.25
"""Agreement at half size from which a pair is looked at in full."""
_AGREE = 0.4
"""Agreement from which two images are one picture, unless unlike pictures of the set agree as much."""
_BEYOND = 4.0
"""How far above the set's unlike look-alikes, in their standard deviations, a copy must stand."""


@dataclass(frozen=True)
class Pair:
    """Two images of a data set, by position, that are one picture."""

    first: int
    second: int
    kind: Copy
    agreement: float = 1.0
    """Median correlation of their texture once laid over one another; 1 for the same pixels."""


def duplicates(dataset: Dataset, prints: Sequence[Fingerprint], progress: Progress | None = None) -> list[Pair]:
    """The pairs found, the surest first; of n identical images, n - 1 pairs that connect them."""
    exact = _same_files(prints) + _same_pixels(dataset, prints)
    return exact + _near(prints, exact, progress)


def groups(pairs: Iterable[Pair], count: int) -> list[list[int]]:
    """Positions of the images that are one picture, directly or through others; only groups of two or more."""
    links = np.array([(p.first, p.second) for p in pairs], dtype=np.int64).reshape(-1, 2)
    _, label = connected_components(coo_matrix((np.ones(len(links)), links.T), shape=(count, count)), directed=False)
    members = defaultdict(list)
    for i in sorted(set(links.ravel().tolist())):
        members[int(label[i])].append(i)
    return sorted(members.values())


def _same_files(prints: Sequence[Fingerprint]) -> list[Pair]:
    return [Pair(a, b, "same file") for same in _alike([p.file for p in prints]) for a, b in pairwise(same)]


def _same_pixels(dataset: Dataset, prints: Sequence[Fingerprint]) -> list[Pair]:
    """Equal pixels in unequal files; a hash of reduced pixels is proved on the whole ones."""
    pairs = []
    for same in _alike([p.pixels for p in prints]):
        files = list({prints[i].file or str(i): i for i in reversed(same)}.values())[::-1]
        pairs += [Pair(a, b, "same pixels") for a, b in pairwise(files) if same_pixels(dataset, (a, b))]
    return pairs


def _alike(hashes: Sequence[str]) -> list[list[int]]:
    """Positions that share a hash, leaving out the empty one."""
    places = defaultdict(list)
    for i, name in enumerate(hashes):
        if name:
            places[name].append(i)
    return [same for same in places.values() if len(same) > 1]


def _near(prints: Sequence[Fingerprint], exact: Sequence[Pair], progress: Progress | None) -> list[Pair]:
    """Near copies among the images that can be read, one of each group of exact copies standing for all."""
    spare = {i for group in groups(exact, len(prints)) for i in group[1:]}
    chosen = np.array([i for i, p in enumerate(prints) if p.pixels and p.spread > 1 and i not in spare], dtype=np.int64)
    if len(chosen) < 2:
        return []
    grey = torch.from_numpy(np.stack([prints[i].grey for i in chosen])).float()
    found, maps = lookalikes(grey, progress)
    pairs = torch.from_numpy(found)
    score = agreements(grey, pairs, maps, _PROMISING, progress).numpy()
    order = np.argsort(-score, kind="stable")
    sure = order[score[order] >= _threshold(score)]
    return [Pair(*_ordered(chosen[pairs[k].numpy()]), "near", round(float(score[k]), 3)) for k in sure]


def _ordered(pair: NDArray[np.int64]) -> tuple[int, int]:
    return int(pair.min()), int(pair.max())


def _threshold(scores: NDArray) -> float:
    """The agreement that makes a copy: well above what this set's look-alikes, which are mostly no copies, reach.

    Skin lesions aligned with one another agree by 0.2 at most; chests agree by 0.5, rib on rib. The spread is taken
    from the middle half, so that the copies themselves do not count.
    """
    if len(scores) < 100:
        return _AGREE + 0.2
    middle, upper = np.quantile(scores, (0.5, 0.75))
    return float(np.clip(middle + _BEYOND * (upper - middle) / 0.674, _AGREE, 0.8))
