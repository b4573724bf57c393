"""The round window through which a fundus camera sees the retina."""

from __future__ import annotations

from torch import Tensor

from robustdx.perturbations.artefacts.fields import blur
from robustdx.tensors import Images

BLACK = 0.06
"""What is darker in all channels may lie outside."""


def field_of_view(x: Images) -> Tensor:
    """Where the retina is seen, (B, 1, H, W) of 0 and 1: where most of the neighbourhood is not black, so that dark vessels count.

    The window is an aperture inside the camera: defocus, haze and dust never blur its rim.
    """
    return (blur((x.amax(1, keepdim=True) > BLACK).float(), 0.012) > 0.5).float()
