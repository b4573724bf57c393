"""A folder of images through a purifier: `robustdx purify`.

One image at a time, each at its own size. A file that is there is whole, so to go on is to make what is not there yet.
"""

from __future__ import annotations

import csv
import io
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest, sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robustdx.auditing.files.attacked import names_of, png
from robustdx.auditing.prepare import content
from robustdx.auditing.requirements import require_images
from robustdx.auditing.run import Progress
from robustdx.catalogue import key
from robustdx.data import Dataset, Example, Pixels, load_dataset, path_of
from robustdx.data.read import read_image
from robustdx.data.split import subset
from robustdx.draws import Draws
from robustdx.errors import ImageError, PlanError, RobustdxError, RunError
from robustdx.models import Purifier
from robustdx.models.defended import require_pure
from robustdx.purifiers import PURIFIERS
from robustdx.store import Store
from robustdx.tensors import Images

COLUMNS = ("id", "source", "image", "purifier", "channels", "mean_change", "largest_change", "sha256")
"""What manifest.csv says of each image. Changes are those of the saved pixels, which lie in [0, 1]; the hash is that of the file that came,
or of its pixels where there was none."""


@dataclass(frozen=True)
class Purification:
    """Images and the purifier that they go through, loaded and checked; nothing has run yet."""

    source: str
    """The data, in the words of --data."""
    data: Dataset
    purifier: Purifier
    seed: int = 0
    channels: int | None = None
    """Grey (1) or colour (3); None: each image as it is."""
    device: str = "cpu"

    @classmethod
    def of(
        cls,
        source: str,
        purifiers: Sequence[Mapping[str, Any]],
        *,
        split: str = "all",
        images: int | None = None,
        seed: int = 0,
        **more: Any,
    ) -> Purification:
        """Load what the words name; several purifiers make a chain.

        Raises:
            PlanError, DataError: what does not exist, or does not fit.
        """
        if not purifiers:
            raise PlanError("expected a purifier, got none: name one, such as jpeg; `robustdx list purifiers` shows all")
        words = purifiers[0] if len(purifiers) == 1 else {"name": "chain", "members": [dict(p) for p in purifiers]}
        data = load_dataset(source)
        if split != "all":
            if split not in data.splits:
                raise PlanError(f"{data.name} has no split named {split!r}: take one of {', '.join(('all', *data.splits))}")
            data = data.only(split)
        require_images(data)
        return cls(source, data if images is None else subset(data, images, seed), PURIFIERS.parse(words), seed, **more)

    def words(self) -> dict[str, Any]:
        """What the folder belongs to: settings, and the images as they were named when it began."""
        found = [(e.id, content(self.data, e)) for e in self.data.examples]
        said = {"made": "purified images", "data": self.source, "purifier": PURIFIERS.dump(self.purifier), "seed": self.seed}
        return {**said, "channels": self.channels, "images_key": key(found)}

    @cached_property
    def names(self) -> list[str]:
        """Where each image goes, relative to the folder."""
        return names_of(self.data.examples)

    def missing(self, store: Store) -> int:
        """How many images are not there yet."""
        return sum(not (store.path / name).is_file() for name in self.names)

    def require_apart(self, out: Path) -> None:
        """Refuse a folder that lies among the images that come in, or that holds them.

        Raises:
            RunError: which of the two, and what to do.
        """
        files = [Path(e.file).resolve() for e in self.data.examples if e.file]
        given, here = Path(path_of(self.source) or "."), out.resolve()
        roots = {*(f.parent for f in files), *([given.resolve()] if path_of(self.source) and given.is_dir() else [])}
        for root in sorted(roots):
            if here.is_relative_to(root):
                raise RunError(f"{out} lies in {root}, where the images come from, and would be read with them: give another --out")
        for file in files:
            if file.is_relative_to(here):
                raise RunError(f"{out} holds {file}, which is to be purified and must stay as it is: give another --out")

    def read(self, progress: Progress) -> None:
        """Read every image once, and try the purifier on the smallest size, so that a refusal comes before the work.

        Raises:
            ImageError: the first image that cannot be read, or a size that the purifier does not take.
        """
        shapes = []
        for n, example in enumerate(self.data.examples, start=1):
            shapes.append((self._before(example).shape, example))
            progress("reading images", n, len(self.data))
        shape, example = min(shapes, key=lambda s: (min(s[0][:2]), s[1].id))
        self._purified(example, np.full(shape, 128, dtype=np.uint8))

    def run(self, store: Store, progress: Progress) -> None:
        """Make what is not there yet, then the manifest."""
        file = io.StringIO()
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for n, row in enumerate(self._rows(store), start=1):
            writer.writerow(row)
            progress("purifying", n, len(self.data))
        store.write_text("manifest.csv", file.getvalue())

    def _rows(self, store: Store) -> Iterator[dict[str, Any]]:
        said = _briefly(PURIFIERS.dump(self.purifier))
        for example, name in zip(self.data.examples, self.names, strict=True):
            before = self._before(example)
            after = _kept(store.path / name, before)
            if after is None:
                pure = self._purified(example, before)
                store.write_bytes(name, png(pure[0], example))
                after = (pure[0] * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            change = np.abs(after.astype(np.int16) - before)
            yield {
                "id": example.id,
                "source": example.file,
                "image": name,
                "purifier": said,
                "channels": before.shape[2],
                "mean_change": f"{change.mean() / 255:.6g}",
                "largest_change": f"{change.max() / 255:.6g}",
                "sha256": _hash(example, before),
            }

    def _before(self, example: Example) -> Pixels:
        """The pixels of an image, in one channel where it is grey."""
        pixels = self.data.read(example, None, self.channels or 3)
        grey = self.channels is None and bool((pixels == pixels[..., :1]).all())
        return pixels[..., :1] if grey else pixels

    @torch.no_grad()
    def _purified(self, example: Example, pixels: Pixels) -> Images:
        """What `Defended(model, purifier)` would show its model of this image, but for rounding."""
        x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].to(self.device).float() / 255
        try:
            pure = self.purifier(x, Draws(self.seed, (example.id,)).fork("purify"))
            require_pure(pure, x, self.purifier)
        except RobustdxError as refusal:
            raise ImageError(f"{example.file or example.id}: {refusal}") from None
        except (RuntimeError, ValueError, IndexError) as error:
            size, reason = "x".join(map(str, pixels.shape[:2])), str(error).strip().split("\n")[0][:160]
            raise ImageError(f"{example.file or example.id}: the purifier does not take images of {size}: {reason}") from error
        return pure

    def facts(self, command: str) -> dict[str, Any]:
        """How it was run (run.json)."""
        versions = {"python": platform.python_version(), "torch": torch.__version__, "robustdx": version("robustdx")}
        return {"command": command, **self.words(), "device": self.device, "images": len(self.data), "versions": versions}


def _kept(path: Path, before: Pixels) -> Pixels | None:
    """The image that an earlier start wrote; None where there is none, or one that is damaged or belongs to something else."""
    if not path.is_file():
        return None
    try:
        after = read_image(path, None, before.shape[2])
    except ImageError:
        return None
    return after if after.shape == before.shape else None


def _hash(example: Example, pixels: Pixels) -> str:
    if not example.file:
        return sha256(pixels.tobytes()).hexdigest()
    with Path(example.file).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _briefly(words: Mapping[str, Any]) -> str:
    """A purifier as it is named on the command line, the members of a chain joined by a space."""
    if words["name"] == "chain":
        return " ".join(_briefly(member) for member in words["members"])
    return ",".join([str(words["name"]), *(f"{k}={v}" for k, v in words.items() if k != "name")])
