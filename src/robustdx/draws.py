"""Randomness that belongs to an image, not to a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """A random stream per image: batch size, shard and order never change what is drawn.

    The stream of an image is a Philox generator keyed by the seed, the names forked so far and the image's id. Asking
    twice for the same draw gives the same numbers; fork by name to get others.

    >>> two, one = Draws(0, ("a", "b")), Draws(0, ("b",))
    >>> bool((two.uniform(0, 1, like=torch.zeros(2, 3))[1] == one.uniform(0, 1, like=torch.zeros(1, 3))[0]).all())
    True
    """

    seed: int
    ids: tuple[str, ...]
    path: tuple[str, ...] = ()

    def fork(self, *names: object) -> Draws:
        """Independent draws for the same images, told apart by name: `draws.fork("restart", 3)`."""
        return Draws(self.seed, self.ids, self.path + tuple(str(name) for name in names))

    def take(self, index: Tensor | Sequence[int]) -> Draws:
        """The draws of some of the images: `index` is a list of positions or a mask of shape (B,)."""
        if isinstance(index, Tensor):
            index = (index.nonzero().flatten() if index.dtype == torch.bool else index).tolist()
        return Draws(self.seed, tuple(self.ids[i] for i in index), self.path)

    def uniform(self, low: float, high: float, like: Tensor) -> Tensor:
        """Uniform in [low, high), one stream for each `like[i]`; shape, dtype and device of `like`."""
        return low + (high - low) * self._fill("uniform", like, lambda g, shape: g.random(shape, dtype=np.float32))

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal, one stream for each `like[i]`; shape, dtype and device of `like`."""
        return self._fill("normal", like, lambda g, shape: g.standard_normal(shape, dtype=np.float32))

    def integers(self, low: int, high: int) -> Tensor:
        """A whole number in [low, high) for each image, shape (B,)."""
        return torch.tensor([int(self._stream("integers", i).integers(low, high)) for i in self.ids])

    def levels(self, like: Tensor) -> Tensor:
        """A whole number from 0 to 65535 for each element, one stream for each `like[i]`; int32, shape and device of `like`.

        A sixth of the time of `normal`: noise on pixels of 8 bits needs no more.
        """
        self._require(like)
        out = np.empty((len(like), like[:1].numel()), dtype=np.int32)
        for row, image_id in zip(out, self.ids, strict=True):
            raw = self._stream("levels", image_id).bit_generator.random_raw(-(-out.shape[1] // 4))
            row[:] = raw.astype("<u8").view("<u2")[: out.shape[1]]
        return torch.from_numpy(out).view(like.shape).to(like.device)

    def made(self, kind: str, like: Tensor, make: Callable[[], Tensor]) -> Tensor:
        """What `make` draws, in the shape of `like`: for generators of a purifier's own, so that an exported program can hold it."""
        return make()

    def _fill(self, kind: str, like: Tensor, draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]) -> Tensor:
        self._require(like)
        out = np.empty(tuple(like.shape), dtype=np.float32)
        for i, image_id in enumerate(self.ids):
            out[i] = draw(self._stream(kind, image_id), out.shape[1:])
        return torch.empty_like(like).copy_(torch.from_numpy(out))  # laid out as the images are: mixed layouts are slow

    def _require(self, like: Tensor) -> None:
        if len(like) != len(self.ids):
            raise ValueError(f"expected a tensor for {len(self.ids)} images, got {len(like)}: keep draws and images together with take")

    def _stream(self, kind: str, image_id: str) -> np.random.Generator:
        words = "\x1f".join((str(self.seed), kind, *self.path, "", image_id))
        key = int.from_bytes(blake2b(words.encode(), digest_size=16).digest(), "little")
        return np.random.Generator(np.random.Philox(key=key))
