"""Images shown at random sizes and places: what fools a network then hangs less on where it looks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.tensors import Images, per_image


def shrunk(x: Images, draws: Draws, probability: float, smallest: float) -> Images:
    """With a probability, an image is shrunk and laid anywhere on black of its own size (Xie et al. 2019, section 3.3).

    The new side is drawn from `smallest` times the old one up to one pixel less than it, as a whole number; each image has
    draws of its own. As in the authors' code no image touches the far edge: on small images, where a shift hides much, that place
    would cost strength. The paper enlarges and pads to a larger input, which most networks do not
    take. Differentiable in x.
    """
    u = draws.fork("shrunk").uniform(0, 1, like=x.new_empty(len(x), 4))
    rows, row_kept = _line(x.shape[2], u[:, 1], u[:, 2], smallest)
    columns, column_kept = _line(x.shape[3], u[:, 1], u[:, 3], smallest)
    b, _, h, w = x.shape
    grid = torch.stack((columns[:, None, :].expand(b, h, w), rows[:, :, None].expand(b, h, w)), dim=-1)
    seen = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    kept = (row_kept[:, :, None] & column_kept[:, None, :])[:, None]
    return torch.where(per_image(u[:, 0] < probability, x), seen * kept, x)


def _line(side: int, u_size: Tensor, u_place: Tensor, smallest: float) -> tuple[Tensor, Tensor]:
    """(B, side): where each pixel of a line looks on the image, which reaches from -1 to 1, and whether it looks at it at all."""
    least = max(int(smallest * side), 1)
    size = (least + (u_size * (side - least)).floor().clamp_max(side - least - 1).clamp_min(0))[:, None]
    place = (u_place[:, None] * (side - size)).floor().minimum(side - size - 1).clamp_min(0)  # in float32, u * n may round up to n
    pixel = torch.arange(side, device=u_size.device) - place
    return (2 * pixel + 1) / size - 1, (pixel >= 0) & (pixel < size)
