"""How a purifier hands images to a library that knows one picture at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from robustdx.tensors import Images


def one_by_one(purify: Callable[[np.ndarray], np.ndarray], x: Images) -> Images:
    """The images as `purify` gives each of them back, (H, W, C) in floats, clamped to [0, 1]; a constant without a gradient."""
    pictures = x.detach().permute(0, 2, 3, 1).cpu().numpy()
    pure = [np.asarray(purify(np.ascontiguousarray(picture))).reshape(picture.shape) for picture in pictures]
    return _like(x, torch.from_numpy(np.stack(pure)) if pure else torch.empty(pictures.shape))


def eight_bits(x: Images) -> np.ndarray:
    """The images as a file would hold them: (B, H, W, C) in 0 to 255."""
    return (x.detach() * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def from_eight_bits(pictures: list[np.ndarray], like: Images) -> Images:
    """Pictures in 0 to 255 as images again, of the shape, dtype and device of `like`."""
    whole = np.stack(pictures).reshape(len(pictures), *like.shape[2:], like.shape[1])
    return _like(like, torch.from_numpy(whole).to(like.dtype) / 255)


def _like(x: Images, pure: Tensor) -> Images:
    return torch.empty_like(x, requires_grad=False).copy_(pure.permute(0, 3, 1, 2)).clamp_(0, 1)
