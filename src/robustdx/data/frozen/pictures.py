"""Frames as one picture without loss, and the hash that tells whether they are still the same."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from robustdx.errors import ImageError

Frames = NDArray[np.uint8]
"""(n, H, W, C): 8-bit frames of one image; C is 1 or 3."""
LONGEST = 16383
"""Pixels on a side of a WebP picture; frames that do not fit below one another go on in a second column."""


def encoded(frames: Frames) -> bytes:
    """Frames as a WebP picture. The fastest of its levels: slower ones save a few per cent."""
    file = io.BytesIO()
    Image.fromarray(_laid_out(frames)).save(file, format="WEBP", lossless=True, quality=0, method=0)
    return file.getvalue()


def decoded(path: Path, shape: tuple[int, int, int, int]) -> Frames:
    """The frames of a picture.

    Raises:
        ImageError: the file is not there, is no whole picture, or has another shape.
    """
    n, height, width, channels = shape
    rows, columns = _grid(n, height)
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    except (OSError, ValueError) as error:  # Pillow's own refusals are among them
        raise ImageError(
            f"{path}: expected a whole picture of a frozen set, got one that cannot be read ({error}): copy it again"
        ) from None
    if pixels.shape[:2] != (rows * height, columns * width):
        raise ImageError(f"{path}: expected {n} frames of {height}x{width}, got a picture of {pixels.shape[0]}x{pixels.shape[1]}")
    tiles = pixels.reshape(rows, height, columns, width, channels).transpose(2, 0, 1, 3, 4)
    return np.ascontiguousarray(tiles.reshape(rows * columns, height, width, channels)[:n])


def fingerprint(frames: Frames) -> str:
    """SHA-256 of the pixels, with their number and shape: the same whatever wrote the file."""
    return sha256(" ".join(map(str, frames.shape)).encode() + b"\n" + np.ascontiguousarray(frames).tobytes()).hexdigest()


def _grid(n: int, height: int) -> tuple[int, int]:
    """Rows and columns of a picture of n frames."""
    columns = -(-n * height // LONGEST) if height <= LONGEST else 1
    return -(-n // columns), columns


def _laid_out(frames: Frames) -> NDArray[np.uint8]:
    n, height, width, channels = frames.shape
    rows, columns = _grid(n, height)
    padded = np.zeros((rows * columns, height, width, channels), np.uint8)
    padded[:n] = frames
    tiles = padded.reshape(columns, rows, height, width, channels).transpose(1, 2, 0, 3, 4)
    pixels = tiles.reshape(rows * height, columns * width, channels)
    return pixels[..., 0] if channels == 1 else pixels
