"""Shapes, named once, and the norms of one image at a time.

B images, C channels, H rows, W columns, K outputs. Pixels lie in [0, 1].
"""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from robustdx.errors import ImageError

Images = Float[Tensor, "B C H W"]
Outputs = Float[Tensor, "B K"]
Labels = Shaped[Tensor, "B *L"]
PerImage = Float[Tensor, " B"]
Flags = Bool[Tensor, " B"]
Classes = Int[Tensor, " B"]

PIXEL_SLACK = 1e-6
"""How far outside [0, 1] a pixel may lie before it is refused: float32 arithmetic, not normalisation."""


def per_image(values: PerImage, like: Images) -> Tensor:
    """Give (B,) values the shape (B, 1, 1, 1) of the images, so that they multiply."""
    return values.view(-1, *[1] * (like.dim() - 1))


def l2_norm(x: Images) -> PerImage:
    """Euclidean length of each image, all channels and pixels together."""
    return torch.linalg.vector_norm(x, dim=tuple(range(1, x.dim())))


def linf_norm(x: Images) -> PerImage:
    """Largest absolute value in each image."""
    return x.abs().amax(dim=tuple(range(1, x.dim())))


def total(x: Images) -> PerImage:
    """The sum over all channels and pixels of each image: no copy, as `flatten` makes of channels-last images."""
    return x.sum((1, 2, 3))


def require_pixels(x: Images) -> None:
    """Refuse images outside [0, 1], or with values that are not numbers.

    Raises:
        ImageError: says which range came and what to do.
    """
    low, high = (float(v) for v in x.detach().aminmax())
    if not (low >= -PIXEL_SLACK and high <= 1 + PIXEL_SLACK):
        raise ImageError(
            f"images must lie in [0, 1], got [{low:.4g}, {high:.4g}]: pass raw pixels divided by 255 "
            "and give mean and std to DiagnosticModel"
        )
