"""Which pixels of an image show the lesion: masks drawn by experts, as they come with a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from robustdx.data.protocol import Dataset, Example, Mask
from robustdx.data.read import read_image
from robustdx.errors import DataError, ImageError

SAME_SHAPE = 0.02
"""By which share the proportions of a mask may differ from the image's: a mask is often drawn on the image at another scale."""


def read_mask(example: Example, size: tuple[int, int]) -> Mask | None:
    """The mask of an example that lies in a file, or None where it has none: `Dataset.mask` of every set of files.

    Raises:
        ImageError: a file that cannot be read, that is not black and white, or whose proportions are not the image's.
    """
    if not example.mask:
        return None
    drawn = black_and_white(read_image(example.mask, None, 1)[..., 0], example.mask)
    if example.file:
        height, width = read_image(example.file, None, 1).shape[:2]
        require_proportions(drawn, (height, width), example.mask)
    return scaled(drawn, size)


def black_and_white(values: NDArray[np.uint8], name: str) -> Mask:
    """0 and 255, with whatever JPEG leaves between them, or 0 and 1."""
    most = int(values.max(initial=0))
    if 1 < most < 128:
        raise ImageError(
            f"{name}: expected a mask of 0 and 255, or of 0 and 1, got values up to {most}: save one region as black and white"
        )
    return values > (0 if most <= 1 else 127)


def require_proportions(drawn: Mask, shape: tuple[int, int], name: str) -> None:
    """Refuse a mask that does not lie over its image at any scale."""
    (height, width), (h, w) = shape, drawn.shape
    if abs(h * width - w * height) > SAME_SHAPE * max(h * width, w * height):
        raise ImageError(
            f"{name}: the mask does not fit: it is {h}x{w}, its image {height}x{width} (height x width): draw it on this image"
        )


def scaled(drawn: Mask, size: tuple[int, int]) -> Mask:
    """The mask at `size` = (height, width), by the nearest pixel."""
    if drawn.shape == size:
        return drawn
    return np.asarray(Image.fromarray(drawn).resize((size[1], size[0]), Image.Resampling.NEAREST))


def masks(dataset: Dataset, examples: Sequence[Example], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The masks of some examples, (B, H, W).

    Raises:
        DataError: the set has no masks, or one of these images has none.
    """
    found = [dataset.mask(example, size) if dataset.mask is not None else None for example in examples]
    for example, mask in zip(examples, found, strict=True):
        if mask is None:
            raise DataError(
                f"{dataset.name}: expected a mask for every image, which says where its region is, got none for {example.id!r}: "
                "add it, audit images that have one, or leave region out"
            )
    return np.stack([mask for mask in found if mask is not None])


def mask_of(files: dict[str, Path], image: str, ending: str = "_segmentation") -> str:
    """The file of an image's mask among those of a folder, or "" where it has none."""
    return str(files.get(image + ending, ""))
