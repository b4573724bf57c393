"""Many images at once: as tensors for a network, and all of them held in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robustdx.data.protocol import Dataset, Example, Pixels
from robustdx.errors import ImageError


@dataclass(frozen=True, eq=False)
class Held:
    """`Dataset.read` of a set whose pixels are in memory at one size."""

    pixels: NDArray[np.uint8]
    """(N, H, W, C), one image after the other."""
    position: dict[str, int]
    """Where the image with this id lies in `pixels`."""

    def __call__(self, example: Example, size: tuple[int, int] | None, channels: int) -> Pixels:
        """The pixels at the size that is held; any other size or number of channels is refused."""
        self.require(size, channels)
        return self.pixels[self.position[example.id]]

    def require(self, size: tuple[int, int] | None, channels: int) -> None:
        """Refuse what is not held: resizing twice would give other pixels than resizing once."""
        here = self.pixels.shape[1:]
        if (*(size or here[:2]), channels) != here:
            raise ImageError(
                f"expected the size held in memory, {_shape(here)}, got {_shape((*(size or here[:2]), channels))}: decode again"
            )


def decoded(
    dataset: Dataset,
    size: tuple[int, int],
    channels: int,
    *,
    workers: int | None = None,
    on_read: Callable[[int], None] | None = None,
) -> Dataset:
    """The same set with all pixels read once, by several threads, and held in memory at `size` = (height, width).

    Takes N x H x W x channels bytes. `on_read` is told how many images have been read, to show progress.

    Raises:
        ImageError: the first image, in the order of the set, that cannot be read.
    """
    if isinstance(dataset.read, Held):
        dataset.read.require(size, channels)
        return dataset
    pixels = np.empty((len(dataset), *size, channels), dtype=np.uint8)

    def fill(i: int) -> None:
        pixels[i] = dataset.read(dataset.examples[i], size, channels)

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        try:
            for done, _ in enumerate(pool.map(fill, range(len(dataset))), start=1):
                if on_read is not None:
                    on_read(done)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # a refusal or Ctrl-C must not wait for the other images
            raise
    return replace(dataset, read=Held(pixels, {e.id: i for i, e in enumerate(dataset.examples)}))


def batch(dataset: Dataset, indices: Sequence[int], size: tuple[int, int] | None, channels: int) -> tuple[Tensor, Tensor]:
    """Images (B, C, H, W), 8-bit and channels last in memory, with their labels as `labels` gives them.

    Where `size` is None, every image keeps its own size, so those of one batch must agree.
    """
    examples = [dataset.examples[i] for i in indices]
    if isinstance(dataset.read, Held):
        dataset.read.require(size, channels)
        pixels = dataset.read.pixels[[dataset.read.position[e.id] for e in examples]]
    else:
        pixels = np.stack([dataset.read(e, size, channels) for e in examples])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2), _labels(dataset, examples)


def labels(dataset: Dataset) -> Tensor:
    """All labels in order: whole numbers (N,), or float (N, L) with NaN where a finding is not annotated."""
    return _labels(dataset, dataset.examples)


def _labels(dataset: Dataset, examples: Sequence[Example]) -> Tensor:
    kind = torch.float32 if dataset.kind == "multilabel" else torch.long
    return torch.tensor([e.label for e in examples], dtype=kind)


def _shape(shape: Sequence[int]) -> str:
    return f"{shape[0]}x{shape[1]} with {shape[2]} channels"
