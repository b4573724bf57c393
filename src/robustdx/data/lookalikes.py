"""A wide, cheap search for images that might be copies of one another: thumbnails compared under many views."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from robustdx.data.contrast import detail
from robustdx.data.fingerprint import Progress

_COARSE = 16
"""Side of the thumbnails compared: so coarse that a shift or a crop of a few per cent does not matter."""
_SHARED = 16
"""Directions in which a set's images differ most (a lens, a rib cage, a blob in the middle): flattened before comparing."""
_KEPT = 128
"""Directions compared."""
_LEAST, _ALIKE = 0.4, 0.7
"""Correlation from which an image's nearest neighbour is a candidate; from which any image is."""
_PER_IMAGE = 3
"""Candidates handed on, for each image of the set; the best first."""
_MANY = 20_000
"""Images above which only turns and mirrors are tried: the search grows with the square."""
_BLOCK = 1024


@cache
def views() -> Tensor:
    """(V, 2, 3) affine maps tried: 7 turns and mirrors first (the eighth is the inverse of one), 4 shifts, 18 crops.

    A map takes a place in the view to the place in the image, both in [-1, 1], as `affine_grid` does.
    """
    turns = ((1, 0, 0, 1), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0))
    around = [(x, y) for y in (-1.0, 0.0, 1.0) for x in (-1.0, 0.0, 1.0)]
    maps = [[[a, b, 0.0], [c, d, 0.0]] for a, b, c, d in turns]
    maps += [[[1.0, 0.0, 0.22 * x], [0.0, 1.0, 0.22 * y]] for x, y in around[5:]]
    maps += [[[zoom, 0.0, (1 - zoom) * x], [0.0, zoom, (1 - zoom) * y]] for zoom in (0.88, 0.75) for x, y in around]
    return torch.tensor(maps)


def lookalikes(grey: Tensor, progress: Progress | None = None) -> tuple[NDArray[np.int64], Tensor]:
    """Pairs (P, 2) of rows of `grey` (N, S, S) that may be copies, best first, and (P, 2, 3) the view of the first that fits.

    Each thumbnail is compared with each of the same set; what all images of the set share is flattened first, so that
    two photographs do not pass for one because both show a dark spot on skin.
    """
    n = len(grey)
    if n < 2:
        return np.zeros((0, 2), np.int64), views()[:0]
    maps = detail(grey, grey.shape[-1] / 8)
    project = _flattened(_thumbnails(maps))
    plain = project(_thumbnails(maps))
    tried = views() if n <= _MANY else views()[:7]
    found = []
    for number, view in enumerate(tried):
        mine = plain if number == 0 else project(_thumbnails(_seen(maps, view)))
        found.append(_near(mine, plain, number, whole=number < 7))
        if progress is not None:
            progress("searching for copies", number + 1, len(tried))
    return _best(np.concatenate(found), n)


def _near(mine: Tensor, plain: Tensor, view: int, whole: bool) -> NDArray[np.float64]:
    """Rows (correlation, image, its lookalike, view): the nearest of each image, and all that are nearer than `_ALIKE`."""
    out = []
    for start in range(0, len(mine), _BLOCK):
        near = mine[start : start + _BLOCK] @ plain.T
        here = torch.arange(len(near))
        near[here, here + start] = -1
        score, other = near.max(1)
        rows, columns = here[score > _LEAST], other[score > _LEAST]
        if whole and bool((score > _ALIKE).any()):
            more = (near > _ALIKE).nonzero()
            rows, columns = torch.cat([rows, more[:, 0]]), torch.cat([columns, more[:, 1]])
        out.append(torch.stack([near[rows, columns], rows + start, columns, torch.full_like(rows, view)], dim=1).double().numpy())
    return np.concatenate(out)


def _best(found: NDArray[np.float64], n: int) -> tuple[NDArray[np.int64], Tensor]:
    """Each pair once, under the view that fits best; the best pairs of the set."""
    found = found[np.argsort(-found[:, 0], kind="stable")]
    first, second, view = found[:, 1:].astype(np.int64).T
    _, once = np.unique(np.minimum(first, second) * n + np.maximum(first, second), return_index=True)
    keep = np.sort(once)[: max(_PER_IMAGE * n, 2000)]
    return np.stack([first, second], axis=1)[keep], views()[torch.from_numpy(view[keep])]


def _seen(maps: Tensor, view: Tensor) -> Tensor:
    """The maps (N, S, S) through one view; 0 outside."""
    grid = F.affine_grid(view[None], [1, 1, *maps.shape[1:]], align_corners=False)
    return F.grid_sample(maps[None], grid, align_corners=False)[0]


def _thumbnails(maps: Tensor) -> Tensor:
    """(N, D) unit vectors of the coarse maps."""
    small = F.adaptive_avg_pool2d(maps[:, None], _COARSE).flatten(1)
    return F.normalize(small - small.mean(1, keepdim=True), dim=1)


def _flattened(x: Tensor) -> Callable[[Tensor], Tensor]:
    """Principal axes of the set with the leading ones scaled down to the last of them: what they share weighs less."""
    mean, shared = x.mean(0), min(_SHARED, len(x) // 8)
    values, vectors = torch.linalg.eigh(((x - mean).T @ (x - mean) / len(x)).double())
    values, vectors = values.flip(0).clamp(min=1e-12), vectors.flip(1)
    scale = (values[shared] / values.clamp(min=float(values[shared]))).sqrt()
    kept = _KEPT if len(x) > 4 * _KEPT else len(values)
    axes = (vectors * scale)[:, :kept].float()
    return lambda y: F.normalize((y - mean) @ axes, dim=1)
