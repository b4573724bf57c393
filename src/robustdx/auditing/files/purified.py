"""A folder of images through a purifier: `robustdx purify`.

One image at a time, each at its own size. A file that is there is whole, so to go on is to make what is not there yet.
"""

from __future__ import annotations

import csv
import io
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robustdx.auditing.files.attacked import png
from robustdx.auditing.files.incoming import Incoming, hash_of, kept, on_grid, shown, smallest
from robustdx.auditing.run import Progress
from robustdx.data import Example, Pixels
from robustdx.draws import Draws
from robustdx.errors import ImageError, PlanError, RobustdxError
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

    incoming: Incoming
    purifier: Purifier
    seed: int = 0
    device: str = "cpu"

    @classmethod
    def of(
        cls,
        source: str,
        purifiers: Sequence[Mapping[str, Any]],
        *,
        seed: int = 0,
        device: str = "cpu",
        **more: Any,
    ) -> Purification:
        """Load what the words name; several purifiers make a chain. Further words are those of `Incoming.of`.

        Raises:
            PlanError, DataError: what does not exist, or does not fit.
        """
        if not purifiers:
            raise PlanError("expected a purifier, got none: name one, such as jpeg; `robustdx list purifiers` shows all")
        words = purifiers[0] if len(purifiers) == 1 else {"name": "chain", "members": [dict(p) for p in purifiers]}
        return cls(Incoming.of(source, seed=seed, **more), PURIFIERS.parse(words), seed, device)

    def words(self) -> dict[str, Any]:
        """What the folder belongs to: settings, and the images as they were named when it began."""
        given = self.incoming
        said = {"made": "purified images", "data": given.source, "purifier": PURIFIERS.dump(self.purifier), "seed": self.seed}
        return {**said, "channels": given.channels, "images_key": given.key()}

    def missing(self, store: Store) -> int:
        """How many images are not there yet."""
        return sum(not (store.path / name).is_file() for name in self.incoming.names)

    def require_apart(self, out: Path) -> None:
        """Refuse a folder among the images that come in, or one that holds them."""
        self.incoming.require_apart(out, "purified")

    def read(self, progress: Progress) -> None:
        """Read every image once, and try the purifier on the smallest size, so that a refusal comes before the work.

        Raises:
            ImageError: the first image that cannot be read, or a size that the purifier does not take.
        """
        shape, example = smallest(self.incoming.shapes(progress))
        self._purified(example, np.full(shape, 128, dtype=np.uint8))

    def run(self, store: Store, progress: Progress) -> None:
        """Make what is not there yet, then the manifest."""
        file = io.StringIO()
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for n, row in enumerate(self._rows(store), start=1):
            writer.writerow(row)
            progress("purifying", n, len(self.incoming.data))
        store.write_text("manifest.csv", file.getvalue())

    def _rows(self, store: Store) -> Iterator[dict[str, Any]]:
        said = briefly(PURIFIERS.dump(self.purifier))
        for example, name in zip(self.incoming.data.examples, self.incoming.names, strict=True):
            before = self.incoming.pixels(example)
            after = kept(store.path / name, before.shape)
            if after is None:
                pure = self._purified(example, before)
                store.write_bytes(name, png(pure[0], example))
                after = on_grid(pure[0])
            yield {
                "id": example.id,
                "source": example.file,
                "image": name,
                "purifier": said,
                "channels": before.shape[2],
                **changes(before, after),
                "sha256": hash_of(example, before),
            }

    @torch.no_grad()
    def _purified(self, example: Example, pixels: Pixels) -> Images:
        """What `Defended(model, purifier)` would show its model of this image, but for rounding."""
        x = shown(pixels, self.device)
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
        return {"command": command, **self.words(), "device": self.device, "images": len(self.incoming.data), "versions": versions()}


def changes(before: Pixels, after: Pixels) -> dict[str, str]:
    """How far an image was changed, for a manifest."""
    change = np.abs(after.astype(np.int16) - before)
    return {"mean_change": f"{change.mean() / 255:.6g}", "largest_change": f"{change.max() / 255:.6g}"}


def versions() -> dict[str, str]:
    """What it was run with."""
    return {"python": platform.python_version(), "torch": torch.__version__, "robustdx": version("robustdx")}


def briefly(words: Mapping[str, Any]) -> str:
    """A method as it is named on the command line, the members of a chain joined by a space."""
    if words["name"] == "chain":
        return " ".join(briefly(member) for member in words["members"])
    return ",".join([str(words["name"]), *(f"{k}={v}" for k, v in words.items() if k != "name")])
