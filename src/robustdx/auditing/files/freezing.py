"""A frozen benchmark of a data set: every image and all frames of its sequences, written once (`robustdx perturb --preset`).

A few images at a time, so memory does not grow with their number. A file that is there and whole is left alone. The form of the folder and
its hashes are those of `data.frozen`, which reads it again as `frozen:SET`.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from robustdx.auditing.files.incoming import Fit, Incoming
from robustdx.auditing.files.purified import versions
from robustdx.auditing.run import Progress
from robustdx.catalogue import unknown
from robustdx.data import Example
from robustdx.data.frozen.pictures import Frames, decoded, encoded, fingerprint
from robustdx.data.frozen.source import ABOUT, COLUMNS, EXAMPLES, MANIFEST, SCHEMA, digest, plain
from robustdx.data.unlabelled import CLASSES as UNLABELLED
from robustdx.draws import Draws
from robustdx.errors import ImageError, PlanError, RobustdxError, RunError
from robustdx.perturbations import SEQUENCES, FrameSequence
from robustdx.perturbations.protocol import require_count
from robustdx.perturbations.sequences.presets import preset
from robustdx.perturbations.sequences.video import Filmed
from robustdx.store import Store

CUT = {"xu2021": 224, "imagenet-p": 224}
"""The presets whose images were cut out of larger ones, with the side of the released ones."""
USUAL = 224
"""Height and width where none is named."""
AT_A_TIME = 8
"""Images whose frames are held in memory."""


@dataclass(frozen=True)
class Freezing:
    """Images and the sequences that are made of them, loaded and checked; nothing has run yet."""

    incoming: Incoming
    """All at one size and with the same number of channels."""
    preset: str
    """By which name the sequences were asked for."""
    sequences: Mapping[str, FrameSequence]
    count: int
    """Frames of each."""
    seed: int = 0
    device: str = "cpu"

    @classmethod
    def of(
        cls,
        source: str,
        name: str,
        *,
        sequences: Sequence[str] = (),
        count: int | None = None,
        video: bool = False,
        size: tuple[int, int] | None = None,
        channels: int | None = None,
        seed: int = 0,
        device: str = "cpu",
        **more: Any,
    ) -> Freezing:
        """Load what the words name: a preset, or some of its sequences, or another number of frames than its own.

        Further words are those of `Incoming.of`. Without channels, images are taken as colour; without a size, they are 224 by 224.

        Raises:
            PlanError, DataError: what does not exist, or does not fit.
        """
        methods, frames = preset(name, video=video)
        chosen = picked(dict(methods), sequences)
        frames = frames if count is None else count
        require_count(frames)
        fit: Fit = "crop" if name in CUT else "whole"
        incoming = Incoming.of(source, seed=seed, channels=channels or 3, size=size or (USUAL, USUAL), fit=fit, **more)
        if incoming.data.classes == UNLABELLED:
            raise PlanError(f"a benchmark needs the labels of its images, {source} has none: name a data source, such as folder:{source}")
        return cls(incoming, name, chosen, frames, seed, device)

    def words(self) -> dict[str, Any]:
        """What the folder belongs to: settings, and the images as they were named when it began."""
        given = self.incoming
        asked = {"made": "a frozen benchmark", "data": given.source, "preset": self.preset, "frames": self.count, "seed": self.seed}
        shape = {"size": list(self.size), "fit": given.fit, "channels": given.channels}
        return {**asked, **shape, "sequences": self.told(), "images_key": given.key()}

    def told(self) -> dict[str, dict[str, Any]]:
        """What is done in each sequence."""
        return {
            name: {**settings_of(method), "compared": method.compared, "random": method.random} for name, method in self.sequences.items()
        }

    @property
    def size(self) -> tuple[int, int]:
        assert self.incoming.size is not None
        return self.incoming.size

    @property
    def examples(self) -> Sequence[Example]:
        return self.incoming.data.examples

    def files(self, name: str) -> dict[str, str]:
        """Where the pictures of an image go, by sequence; "" is the clean image."""
        below = PurePosixPath(name).relative_to("images").with_suffix(".webp")
        return {"": str("clean" / below), **{s: str(PurePosixPath("frames", s) / below) for s in self.sequences}}

    def missing(self, store: Store) -> int:
        """How many files are not there yet."""
        return sum(not (store.path / file).is_file() for name in self.incoming.names for file in self.files(name).values())

    def require_apart(self, out: Path) -> None:
        """Refuse a folder among the images that come in, or one that holds them."""
        self.incoming.require_apart(out, "measured")

    def read(self, progress: Progress) -> None:
        """Read every image once, and make each sequence of a grey one, so that a refusal comes before the work.

        Raises:
            ImageError: the first image that cannot be read, or a size that a sequence does not take.
            PlanError: a number of frames that is none.
        """
        self.incoming.shapes(progress)
        grey = np.full((1, *self.size, self.incoming.channels or 3), 128, np.uint8)
        for name in self.sequences:
            self.frames(name, self.examples[:1], grey)

    def run(self, store: Store, progress: Progress) -> None:
        """Make what is not there yet, then the tables."""
        file = io.StringIO()
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for start in range(0, len(self.examples), AT_A_TIME):
            indices = range(start, min(start + AT_A_TIME, len(self.examples)))
            lines = [line for lines in self._lines(store, indices) for line in lines]
            writer.writerows(lines)
            self._require_room(store, sum(int(line["bytes"]) for line in lines) / len(indices), indices[-1] + 1)
            progress("freezing", indices[-1] + 1, len(self.examples))
        self._write_tables(store, file.getvalue())

    def _lines(self, store: Store, indices: Sequence[int]) -> Iterator[list[dict[str, Any]]]:
        """The lines of the manifest about some images, whose pictures are there afterwards: one sequence after the other."""
        examples = [self.examples[i] for i in indices]
        files = [self.files(self.incoming.names[i]) for i in indices]
        clean = np.stack([self.incoming.pixels(e) for e in examples])
        for sequence in ("", *self.sequences):
            frames = self._kept(store, [f[sequence] for f in files], 1 if not sequence else self.count)
            lacking = [i for i, found in enumerate(frames) if found is None]
            if lacking:
                some = clean[lacking]
                made = self.frames(sequence, [examples[i] for i in lacking], some) if sequence else some[:, None]
                for i, new in zip(lacking, made, strict=True):
                    store.write_bytes(files[i][sequence], encoded(new))
                    frames[i] = new
            yield [
                {
                    "file": file[sequence],
                    "id": example.id,
                    "sequence": sequence,
                    "frames": len(found),
                    "bytes": (store.path / file[sequence]).stat().st_size,
                    "pixels_sha256": fingerprint(found),
                }
                for example, file, found in zip(examples, files, frames, strict=True)
                if found is not None
            ]

    def _kept(self, store: Store, files: Sequence[str], n: int) -> list[Frames | None]:
        """What an earlier start wrote; None where there is nothing, or nothing whole."""
        shape = (n, *self.size, self.incoming.channels or 3)
        found: list[Frames | None] = []
        for file in files:
            try:
                found.append(decoded(store.path / file, shape))
            except ImageError:
                found.append(None)
        return found

    @torch.no_grad()
    def frames(self, name: str, examples: Sequence[Example], clean: Frames) -> Frames:
        """(B, n, H, W, C): what an audit would show its model of these images, as 8-bit files hold it."""
        x = torch.from_numpy(clean.transpose(0, 3, 1, 2).copy()).to(self.device).float() / 255
        draws = Draws(self.seed, tuple(e.id for e in examples)).fork("sequence", name)
        try:
            made = [(f.clamp(0, 1) * 255).round().byte().cpu() for f in self.sequences[name].frames(x, self.count, draws)]
        except RobustdxError as refusal:
            raise type(refusal)(f"sequence {name}: {refusal}") from None
        return torch.stack(made, 1).permute(0, 1, 3, 4, 2).contiguous().numpy()

    def _require_room(self, store: Store, each: float, done: int) -> None:
        """Refuse to go on where what is left to write will not fit; a set is large, and a full disk is found late."""
        needed, free = each * (len(self.examples) - done), shutil.disk_usage(store.path).free
        if needed > free and self.missing_after(store, done):
            raise RunError(
                f"{store.path}: about {needed / 1e9:.2f} GB are still to be written ({each / 1e6:.2f} MB an image), "
                f"{free / 1e9:.2f} GB are free: make room and run the command again, or take fewer images (--images), sequences or frames"
            )

    def missing_after(self, store: Store, done: int) -> bool:
        """Whether anything is to be written for the images that are left."""
        return any(not (store.path / file).is_file() for name in self.incoming.names[done:] for file in self.files(name).values())

    def _write_tables(self, store: Store, manifest: str) -> None:
        data, examples = self.incoming.data, json.dumps([plain(e) for e in self.examples], allow_nan=False)
        about = {
            "schema": SCHEMA,
            "name": f"{data.name} ({self.preset}, frozen)",
            **{key: value for key, value in self.words().items() if key not in ("made", "data", "images_key")},
            "kind": data.kind,
            "classes": list(data.classes),
            "groups": data.groups,
            "images": len(self.examples),
            "source": self.incoming.source,
            "versions": versions(),
        }
        store.write_text(EXAMPLES, examples)
        store.write_text(MANIFEST, manifest)
        store.write_json(ABOUT, {**about, "digest": digest(about, examples, manifest)})

    def facts(self, command: str) -> dict[str, Any]:
        """How it was run (run.json)."""
        return {"command": command, **self.words(), "device": self.device, "images": len(self.examples), "versions": versions()}


def picked(sequences: Mapping[str, FrameSequence], names: Sequence[str]) -> dict[str, FrameSequence]:
    """Those that are named, in the order of the preset; all where none is.

    Raises:
        PlanError: one that the preset does not have.
    """
    for name in names:
        if name not in sequences:
            raise PlanError(unknown("sequence", name, sequences))
    return {name: method for name, method in sequences.items() if not names or name in names}


def settings_of(method: FrameSequence) -> dict[str, Any]:
    """A sequence in words, and whether it went through a video."""
    filmed = isinstance(method, Filmed)
    return {"settings": SEQUENCES.dump(method.sequence if isinstance(method, Filmed) else method), "filmed": filmed}
