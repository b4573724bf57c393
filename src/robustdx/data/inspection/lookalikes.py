"""A wide, cheap search for images that might be copies of one another: thumbnails compared under many views."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import cos, sin

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from robustdx.data.inspection.contrast import detail
from robustdx.data.inspection.fingerprint import Progress

_COARSE = 16
"""Side of the thumbnails compared: so coarse that a shift or a crop of a few per cent does not matter."""
_SHARED = 16
"""Directions in which a set's images differ most (a lens, a rib cage, a blob in the middle): flattened before comparing."""
_BROAD, _SHARP = 64, 256
"""Directions compared: few forgive a crop that is not quite right, all of them forgive a stamp on a whole image."""
_WHOLE = 9
"""The views that show the whole image: turns, mirrors and tilts."""
_LEAST, _ALIKE = 0.3, 0.9
"""Correlation from which an image's nearest neighbour is a candidate; from which any image is."""
_PER_IMAGE = 12
"""Candidates handed on, for each image of the set; the best first."""
_MANY = 20_000
"""Images above which only turns and mirrors are tried: the search grows with the square."""
_BLOCK = 1024


@cache
def views() -> Tensor:
    """(V, 2, 3) affine maps tried: 7 turns and mirrors first (the eighth is the inverse of one), 2 tilts, 4 shifts, 50 crops.

    A map takes a place in the view to the place in the image, both in [-1, 1], as `affine_grid` does.
    """
    turns = ((1, 0, 0, 1), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0))
    shifts = ((0.22, 0.0), (-0.22, 0.22), (0.0, 0.22), (0.22, 0.22))
    maps = [[[a, b, 0.0], [c, d, 0.0]] for a, b, c, d in turns]
    maps += [[[cos(tilt), -sin(tilt), 0.0], [sin(tilt), cos(tilt), 0.0]] for tilt in (-0.1, 0.1)]
    maps += [[[1.0, 0.0, x], [0.0, 1.0, y]] for x, y in shifts]
    for zoom, places in ((0.93, 3), (0.85, 3), (0.7, 4), (0.55, 4)):
        offsets = torch.linspace(zoom - 1, 1 - zoom, places).tolist()
        maps += [[[zoom, 0.0, x], [0.0, zoom, y]] for x in offsets for y in offsets]
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
    tried = views() if n <= _MANY else views()[:_WHOLE]
    found = []
    for kept, some in ((_SHARP, tried[:_WHOLE]), (_BROAD, tried)):
        thumbnails = _thumbnails(maps)
        project = _flattened(thumbnails, kept)
        plain = project(thumbnails)
        for number, view in enumerate(some):
            mine = plain if number == 0 else project(_thumbnails(_seen(maps, view)))
            found.append(_near(mine, plain, number))
            if progress is not None:
                progress("searching for copies", len(found), _WHOLE + len(tried))
    return _best(np.concatenate(found), n)


def _near(mine: Tensor, plain: Tensor, view: int) -> NDArray[np.float64]:
    """Rows (lead, image, its lookalike, view): the nearest of each image, and all that are nearer than `_ALIKE`.

    The lead is how much nearer it is than others usually are, taken from every eighth: among thousands of dark round
    spots many are near to one another, and none of them leads.
    """
    out, others = [], plain[::8].T
    for start in range(0, len(mine), _BLOCK):
        block = mine[start : start + _BLOCK]
        near = block @ plain.T
        here = torch.arange(len(near))
        near[here, here + start] = -1
        score, other = near.max(1)
        rows, columns = here[score > _LEAST], other[score > _LEAST]
        if view < _WHOLE and bool((score > _ALIKE).any()):
            more = (near > _ALIKE).nonzero()
            rows, columns = torch.cat([rows, more[:, 0]]), torch.cat([columns, more[:, 1]])
        usual = (block @ others).topk(min(3, others.shape[1]), dim=1).values[:, -1]
        lead = near[rows, columns] - usual[rows]
        out.append(torch.stack([lead, rows + start, columns, torch.full_like(rows, view)], dim=1).double().numpy())
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


def _flattened(x: Tensor, kept: int) -> Callable[[Tensor], Tensor]:
    """Principal axes of the set with the leading ones scaled down to the last of them: what they share weighs less."""
    mean, shared = x.mean(0), min(_SHARED, len(x) // 8)
    values, vectors = torch.linalg.eigh(((x - mean).T @ (x - mean) / len(x)).double())
    values, vectors = values.flip(0).clamp(min=1e-12), vectors.flip(1)
    scale = (values[shared] / values.clamp(min=float(values[shared]))).sqrt()
    kept = kept if len(x) > 4 * kept else len(values)
    axes = (vectors * scale)[:, :kept].float()
    return lambda y: F.normalize((y - mean) @ axes, dim=1)
