"""What `inspect` keeps of one image: its bytes, its pixels and a small grey copy, or why it cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from robustdx.data.protocol import Dataset, Example
from robustdx.errors import ImageError

SIDE = 64
"""Height and width of the grey copy: enough to tell two photographs apart, few enough to compare thousands."""

Progress = Callable[[str, int, int], None]
"""Told what is done, how many, of how many."""


@dataclass(frozen=True)
class Fingerprint:
    """One image, as far as copies and odd files can be found by it."""

    file: str
    """Hash of the bytes of the file; empty where the image does not lie in a file of its own."""
    pixels: str = ""
    """Hash of size and decoded pixels; empty for an image that cannot be read."""
    size: tuple[int, int] = (0, 0)
    """Height and width of the image itself."""
    colour: float = 0.0
    """How far its channels differ, as a mean over pixels in grey levels: about 0 for a grey image, whatever its mode."""
    spread: float = 0.0
    """Standard deviation of its grey levels: about 0 for an empty image."""
    grey: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((SIDE, SIDE), np.uint8), repr=False, compare=False)
    """(SIDE, SIDE) grey copy, squashed."""
    problem: str = ""
    """Why it cannot be read, in a sentence."""


def fingerprints(dataset: Dataset, progress: Progress | None = None) -> list[Fingerprint]:
    """The fingerprint of every example, in order, read on all cores."""
    out = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for example in pool.map(lambda e: fingerprint(dataset, e), dataset.examples):
            out.append(example)
            if progress is not None:
                progress("reading images", len(out), len(dataset))
    return out


def fingerprint(dataset: Dataset, example: Example) -> Fingerprint:
    """Read one example; a JPEG larger than needed is decoded at a fraction of its size."""
    raw = _bytes(example.file)
    name = "" if raw is None else _hash(raw)
    try:
        image = _reduced_jpeg(raw) if raw else None
        size = image.info["full"] if image is not None else None
        if image is None:
            image = Image.fromarray(dataset.read(example, None, 3))
    except ImageError as problem:
        return Fingerprint(file=name, problem=str(problem))
    size = size or (image.height, image.width)
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX if min(image.size) >= SIDE else Image.Resampling.BILINEAR)
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.NEAREST), dtype=np.int16)
    return Fingerprint(
        file=name,
        pixels=_hash(repr((size, image.size)).encode(), image.tobytes()),
        size=size,
        colour=float(np.ptp(small, axis=2).mean()),
        spread=float(np.asarray(grey, dtype=np.float32).std()),
        grey=np.asarray(grey, dtype=np.uint8),
    )


def same_pixels(dataset: Dataset, images: Sequence[int]) -> bool:
    """Whether these examples hold the same pixels at full size: the proof behind equal hashes of reduced ones."""
    first, *others = (dataset.read(dataset.examples[i], None, 3) for i in images)
    return all(np.array_equal(first, other) for other in others)


def _bytes(file: str) -> bytes | None:
    try:
        return Path(file).read_bytes() if file else None
    except OSError:
        return None  # `dataset.read` says what is wrong


def _reduced_jpeg(raw: bytes) -> Image.Image | None:
    """A plain 8-bit JPEG in RGB, decoded at 1/2, 1/4 or 1/8 where that leaves enough; None for any other file."""
    try:
        with Image.open(BytesIO(raw), formats=["JPEG"]) as image:
            if image.mode not in ("RGB", "L") or image.getexif().get(0x0112, 1) != 1:
                return None
            full = (image.height, image.width)
            image.draft(image.mode, (4 * SIDE, 4 * SIDE))
            out = image.convert("RGB")
            out.info["full"] = full
            return out
    except Exception:  # the decoders raise almost anything on broken bytes; `dataset.read` puts it into words
        return None


def _hash(*parts: bytes) -> str:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
