"""The images that a command is given to work on: as they are read, where each result goes, and what must be left alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Literal

import torch

from robustdx.auditing.files.attacked import names_of
from robustdx.auditing.prepare import content
from robustdx.auditing.requirements import require_images
from robustdx.auditing.run import Progress
from robustdx.catalogue import key
from robustdx.data import Dataset, Example, Pixels, load_dataset, path_of
from robustdx.data.read import read_image, resized
from robustdx.data.split import subset
from robustdx.data.unlabelled import unlabelled
from robustdx.errors import ImageError, PlanError, RunError
from robustdx.tensors import Images

Fit = Literal["whole", "crop"]
"""How an image is brought to a size of other proportions: squeezed, or cut."""


@dataclass(frozen=True)
class Incoming:
    """Images of a data set, or of a folder without labels, one at a time."""

    source: str
    """The data, in the words of --data."""
    data: Dataset
    channels: int | None = None
    """Grey (1) or colour (3); None: each image as it is."""
    size: tuple[int, int] | None = None
    """Height and width; None: each image at its own."""
    fit: Fit = "whole"
    """How an image is brought to that size: "whole", or "crop": its middle, as ImageNet's are (see `cropped`)."""

    @classmethod
    def of(
        cls,
        source: str,
        *,
        split: str = "all",
        images: int | None = None,
        seed: int = 0,
        channels: int | None = None,
        size: tuple[int, int] | None = None,
        fit: Fit = "whole",
    ) -> Incoming:
        """Load what the words name: a data source, or the path of a folder, whose images then need no labels.

        Raises:
            PlanError, DataError: what does not exist, or does not fit.
        """
        data = unlabelled(Path(source)) if Path(source).is_dir() else load_dataset(source)
        if split != "all":
            if split not in data.splits:
                raise PlanError(f"{data.name} has no split named {split!r}: take one of {', '.join(('all', *data.splits))}")
            data = data.only(split)
        require_images(data)
        return cls(source, data if images is None else subset(data, images, seed), channels, size, fit)

    def key(self) -> str:
        """The images as they were named when the folder began."""
        return key([(e.id, content(self.data, e)) for e in self.data.examples])

    @cached_property
    def names(self) -> list[str]:
        """Where each image goes, relative to the folder: images/mel/photo.png."""
        return names_of(self.data.examples)

    def pixels(self, example: Example) -> Pixels:
        """The pixels of an image, in one channel where it is grey."""
        cut = self.fit == "crop" and self.size is not None
        pixels = self.data.read(example, None if cut else self.size, self.channels or 3)
        if cut and self.size is not None:
            pixels = cropped(pixels, self.size)
        grey = self.channels is None and bool((pixels == pixels[..., :1]).all())
        return pixels[..., :1] if grey else pixels

    def shapes(self, progress: Progress) -> list[tuple[tuple[int, ...], Example]]:
        """Height, width and channels of every image, each read once: what cannot be read is refused before the work.

        Raises:
            ImageError: the first image that cannot be read.
        """
        shapes = []
        for n, example in enumerate(self.data.examples, start=1):
            shapes.append((self.pixels(example).shape, example))
            progress("reading images", n, len(self.data))
        return shapes

    def require_apart(self, out: Path, done: str) -> None:
        """Refuse a folder that lies among the images that come in, or that holds them. `done` is what is done to them.

        Raises:
            RunError: which of the two, and what to do.
        """
        files = [Path(e.file).resolve() for e in self.data.examples if e.file]
        given, here = Path(path_of(self.source) or self.source), out.resolve()
        roots = {*(f.parent for f in files), *([given.resolve()] if files and given.is_dir() else [])}
        for root in sorted(roots):
            if here.is_relative_to(root):
                raise RunError(f"{out} lies in {root}, where the images come from, and would be read with them: give another --out")
        for file in files:
            if file.is_relative_to(here):
                raise RunError(f"{out} holds {file}, which is to be {done} and must stay as it is: give another --out")


def cropped(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """The middle of an image that was scaled to 8/7 of the size on its narrower side: 256 and 224 in ImageNet and in the Robust-Benchmark.

    The sides are rounded as torchvision's Resize and CenterCrop round them.
    """
    (height, width), (h, w) = size, pixels.shape[:2]
    if height * w <= width * h:  # the width is what just fits
        wide = round(width * 8 / 7)
        scaled = (int(wide * h / w), wide)
    else:
        high = round(height * 8 / 7)
        scaled = (high, int(high * w / h))
    whole = resized(pixels, scaled, pixels.shape[2])
    top, left = (round((s - side) / 2) for s, side in zip(scaled, size, strict=True))
    return whole[top : top + height, left : left + width]


def smallest(shapes: list[tuple[tuple[int, ...], Example]]) -> tuple[tuple[int, ...], Example]:
    """The image with the shortest side: what a method does not take, it does not take there first."""
    return min(shapes, key=lambda s: (min(s[0][:2]), s[1].id))


def shown(pixels: Pixels, device: str = "cpu") -> Images:
    """One image (1, C, H, W) in [0, 1]."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].to(device).float() / 255


def on_grid(x: Images) -> Pixels:
    """One image (C, H, W) in 8 bits."""
    return (x * 255).round().byte().permute(1, 2, 0).cpu().numpy()


def kept(path: Path, shape: tuple[int, ...]) -> Pixels | None:
    """The image that an earlier start wrote; None where there is none, or one that is damaged or belongs to something else."""
    if not path.is_file():
        return None
    try:
        after = read_image(path, None, shape[2])
    except ImageError:
        return None
    return after if after.shape == shape else None


def hash_of(example: Example, pixels: Pixels) -> str:
    """SHA-256 of the file that came, or of its pixels where there was none."""
    if not example.file:
        return sha256(pixels.tobytes()).hexdigest()
    with Path(example.file).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
