"""How a perturbation hands images to a library that knows one 8-bit picture at a time."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import torch
from PIL import Image

from robustdx.tensors import Images


def as_pictures(x: Images, change: Callable[[Image.Image], Image.Image]) -> Images:
    """The images as `change` gives each of them back: rounded to 8 bits before, as a file would hold them."""
    grey = x.shape[1] == 1
    pixels = (x.detach() * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    changed = [np.asarray(change(Image.fromarray(picture[..., 0] if grey else picture))) for picture in pixels]
    if not changed:
        return x.clone()
    whole = torch.from_numpy(np.stack(changed).reshape(len(changed), *x.shape[2:], x.shape[1])).permute(0, 3, 1, 2)
    return torch.empty_like(x, requires_grad=False).copy_(whole.to(x.dtype) / 255)


def through_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """A picture written as a JPEG file and read again, colour at half the resolution as cameras do."""
    file = BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return Image.open(file)
