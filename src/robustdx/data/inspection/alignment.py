"""Laying one image over another, and asking whether they are then the same picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from robustdx.data.inspection.contrast import detail, lit
from robustdx.data.inspection.fingerprint import Progress

_BLOCKS = 8
"""The picture is judged in 8 x 8 blocks."""
_TEXTURE = 0.02
"""Mean squared detail that a block must have in either image to count: where both are flat there is nothing to compare."""
_ENOUGH = 12
"""Blocks that must count for an answer; with fewer, two images cannot be told to be one."""
_BATCH = 512


@dataclass(frozen=True)
class Scale:
    """Images at one size, as detail to align by (shapes) and to judge by (texture)."""

    shapes: Tensor
    texture: Tensor
    shown: Tensor

    @classmethod
    def of(cls, grey: Tensor) -> Scale:
        """From (N, S, S) grey levels."""
        return cls(detail(grey, 3.0), detail(grey, 1.5), lit(grey))


def agreements(grey: Tensor, pairs: Tensor, maps: Tensor, promising: float, progress: Progress | None = None) -> Tensor:
    """How far the images of each pair (P, 2) of `grey` (N, S, S) show one picture, (P,): 0 not at all, 1 exactly.

    Starting from an affine map each (P, 2, 3), the first image is laid over the second at half size; pairs that agree
    there by `promising` go on at full size, the others score what they scored.
    """
    small, full = Scale.of(F.avg_pool2d(grey, 2)), Scale.of(grey)
    score = torch.zeros(len(pairs))
    for start in range(0, len(pairs), _BATCH):
        at = torch.arange(start, min(start + _BATCH, len(pairs)))
        fitted = align(small.shapes[pairs[at, 0]], small.shapes[pairs[at, 1]], maps[at], steps=8)
        score[at] = agreement(small, pairs[at], fitted)
        on = score[at] > promising
        if bool(on.any()):
            sure, chosen = at[on], pairs[at[on]]
            fitted = align(full.shapes[chosen[:, 0]], full.shapes[chosen[:, 1]], fitted[on], steps=8)
            score[sure] = agreement(full, chosen, fitted)
        if progress is not None:
            progress("comparing pairs", int(at[-1]) + 1, len(pairs))
    return score


def align(moving: Tensor, fixed: Tensor, maps: Tensor, steps: int) -> Tensor:
    """The affine maps (P, 2, 3) under which `moving` (P, S, S) comes closest to `fixed`, from those given.

    Inverse compositional Gauss-Newton on normalised images (Baker & Matthews 2004, section 3.2): the slopes are those
    of `fixed`, so each step costs one look-up of `moving`.
    """
    side = fixed.shape[-1]
    fixed = _normalised(fixed, torch.ones_like(fixed))
    down, right = torch.gradient(fixed, dim=(1, 2))
    place = F.affine_grid(torch.eye(2, 3)[None], [1, 1, side, side], align_corners=False)[0]
    along = (place[..., 0], place[..., 1], 1.0)
    slopes = torch.stack([slope * p for slope in (right * side / 2, down * side / 2) for p in along], dim=1).flatten(2)
    curvature = slopes @ slopes.mT
    curvature = curvature + torch.diag_embed(0.01 * curvature.diagonal(dim1=1, dim2=2) + 1e-3)
    solve = torch.linalg.solve(curvature, slopes)
    for _ in range(steps):
        laid, inside = _laid(moving, maps)
        miss = (_normalised(laid, inside) - fixed) * inside
        step = (solve @ miss.flatten(1)[..., None]).view(-1, 2, 3).clamp(-0.15, 0.15)
        maps = torch.cat([maps[..., :2] - maps[..., :2] @ step[..., :2], maps[..., 2:] - maps[..., :2] @ step[..., 2:]], dim=2)
    return maps


def agreement(scale: Scale, pairs: Tensor, maps: Tensor) -> Tensor:
    """The median over blocks of the correlation of texture, as it is at least, (P,).

    Two pictures of one thing agree almost everywhere; two pictures that share a lens, a ruler or an outline agree in a
    few blocks only, which a median does not see.
    """
    laid, inside = _laid(scale.texture[pairs[:, 0]], maps)
    shown, _ = _laid(scale.shown[pairs[:, 0]], maps)
    weight = _blocks(inside * (shown > 0.99) * scale.shown[pairs[:, 1]])
    a, b = (_centred(_blocks(x), weight) for x in (laid, scale.texture[pairs[:, 1]]))
    power_a, power_b = a.square().mean(2), b.square().mean(2)
    correlation = (a * b).mean(2) / (power_a * power_b).sqrt().clamp(min=1e-6)
    compared = weight.mean(2) > 0.6
    told = compared & ((power_a > _TEXTURE) | (power_b > _TEXTURE))
    return _low_median(correlation, told)


def _low_median(values: Tensor, counted: Tensor) -> Tensor:
    """The lower end of the 95 % interval of each row's median (the n/2 - sqrt(n)th value of n); 0 where too few count."""
    count = counted.sum(1)
    rank = (count / 2 - count.sqrt()).floor().long().clamp(min=0)
    ordered = values.masked_fill(~counted, torch.inf).sort(1).values
    return ordered.gather(1, rank[:, None])[:, 0].where(count >= _ENOUGH, 0.0)


def _laid(moving: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """`moving` through the maps, and 1 where that lies inside it."""
    grid = F.affine_grid(maps, [len(maps), 1, *moving.shape[1:]], align_corners=False)
    inside = (grid.abs() < 1 - 1 / moving.shape[-1]).all(-1).float()
    return F.grid_sample(moving[:, None], grid, align_corners=False)[:, 0], inside


def _normalised(images: Tensor, inside: Tensor) -> Tensor:
    """Mean 0 and variance 1 over what is inside, 0 elsewhere."""
    count = inside.sum((1, 2), keepdim=True).clamp(min=1)
    centred = (images - (images * inside).sum((1, 2), keepdim=True) / count) * inside
    return centred / (centred.square().sum((1, 2), keepdim=True) / count).sqrt().clamp(min=1e-4)


def _blocks(images: Tensor) -> Tensor:
    """(P, S, S) cut into (P, 64, pixels of a block)."""
    side = images.shape[-1] // _BLOCKS
    return images.unfold(1, side, side).unfold(2, side, side).reshape(len(images), _BLOCKS**2, -1)


def _centred(blocks: Tensor, weight: Tensor) -> Tensor:
    return (blocks - (blocks * weight).sum(2, keepdim=True) / weight.sum(2, keepdim=True).clamp(min=1)) * weight
