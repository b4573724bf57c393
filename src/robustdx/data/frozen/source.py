"""`frozen:SET`: a set that `robustdx perturb --preset` wrote, read with every hash verified."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import nan
from pathlib import Path
from typing import Any, final

import numpy as np

from robustdx.data.frozen.pictures import Frames, decoded, fingerprint
from robustdx.data.protocol import Clips, Dataset, Example, Pixels
from robustdx.data.read import resized
from robustdx.errors import DataError, ImageError

SCHEMA = 1
"""The form of the folder."""
ABOUT, EXAMPLES, MANIFEST, WHOLE = "set.json", "examples.json", "manifest.csv", "manifest.json"
COLUMNS = ("file", "id", "sequence", "frames", "bytes", "pixels_sha256")
"""Of manifest.csv; `sequence` is empty for the clean image."""


@final
@dataclass(frozen=True)
class Frozen:
    """A frozen benchmark: images with the frames of their sequences, so that two groups measure the same pixels.

    Made by `robustdx perturb --preset`. What was changed since is refused: tables and sizes of files at once, pixels as they are read.
    """

    path: str
    """The folder that `robustdx perturb --preset ... --out` wrote."""

    def __call__(self) -> Dataset:
        """Read the tables; no image is opened.

        Raises:
            DataError: no such set, one that is not whole, or tables or files that are not those that were written.
        """
        root = Path(self.path)
        if not (root / ABOUT).is_file() or not (root / WHOLE).is_file():
            unfinished = (root / ABOUT).is_file() or (root / "plan.json").is_file()
            do = "run the command that began it once more" if unfinished else "make one with `robustdx perturb --preset`"
            raise DataError(f"expected a frozen set in {root}, got {'one that is not whole' if unfinished else 'none'}: {do}")
        about = _json(root / ABOUT)
        if about.get("schema") != SCHEMA:
            raise DataError(f"{root}: expected a frozen set of form {SCHEMA}, got {about.get('schema')!r}: use the robustdx that wrote it")
        if digest(about, *(_text(root / name) for name in (EXAMPLES, MANIFEST))) != about["digest"]:
            raise DataError(f"{root}: {ABOUT}, {EXAMPLES} or {MANIFEST} were changed after the set was frozen: copy the set again")
        files = Files(root, about, _listed(root))
        examples = [_example(words, files) for words in _json(root / EXAMPLES)]
        clips = Clips(about["sequences"], about["frames"], files.frames, about["digest"], about["preset"])
        return Dataset(about["name"], tuple(about["classes"]), about["kind"], examples, files, groups=about["groups"], clips=clips)


@dataclass(frozen=True)
class Files:
    """Pixels of a frozen set, verified as they are read: `Dataset.read` of the clean images, and `frames` of the sequences."""

    root: Path
    about: Mapping[str, Any]
    listed: Mapping[tuple[str, str], Mapping[str, str]]
    """The lines of the manifest, by id and sequence ("": the clean image)."""

    def __call__(self, example: Example, size: tuple[int, int] | None, channels: int) -> Pixels:
        """The clean image."""
        return resized(self._verified(example.id, "", 1)[0], size, channels)

    def frames(self, example_id: str, sequence: str, size: tuple[int, int] | None, channels: int) -> Frames:
        """The frames of a sequence of one image, (n, H, W, C).

        Raises:
            ImageError: a file that is not what was frozen.
        """
        found = self._verified(example_id, sequence, self.about["frames"])
        if found.shape[1:] == (*(size or found.shape[1:3]), channels):
            return found
        return np.stack([resized(frame, size, channels) for frame in found])

    def file(self, example_id: str, sequence: str = "") -> Path:
        """Where a picture lies."""
        line = self.listed.get((example_id, sequence))
        if line is None:
            raise DataError(f"{self.root}: expected a file of {sequence or 'the clean image'} for {example_id!r}, the manifest has none")
        return self.root / line["file"]

    def _verified(self, example_id: str, sequence: str, n: int) -> Frames:
        path = self.file(example_id, sequence)
        frames = decoded(path, (n, *self.about["size"], self.about["channels"]))
        if fingerprint(frames) != self.listed[example_id, sequence]["pixels_sha256"]:
            raise ImageError(f"{path}: expected the pixels that were frozen, got others: the file was changed, copy it again from the set")
        return frames


def digest(about: Mapping[str, Any], examples: str, manifest: str) -> str:
    """One hash of settings, labels and all pixels: two sets with the same one are the same benchmark.

    What a computer adds (sizes of files, versions) is not part of it.
    """
    settings = {key: about[key] for key in about if key not in ("digest", "versions", "source")}
    pixels = [(line["file"], line["pixels_sha256"]) for line in csv.DictReader(manifest.splitlines())]
    return sha256(json.dumps([settings, json.loads(examples), pixels], sort_keys=True).encode()).hexdigest()


def digest_of(root: Path) -> str:
    """The digest of a set that is whole."""
    return str(_json(root / ABOUT)["digest"])


def plain(example: Example) -> dict[str, Any]:
    """An example in the words of examples.json; a finding that is not annotated is null."""
    label = [None if v != v else v for v in example.label] if isinstance(example.label, tuple) else example.label
    words = {"id": example.id, "label": label, "patient": example.patient, "split": example.split}
    return {**words, "attributes": dict(example.attributes)}


def _example(words: Mapping[str, Any], files: Files) -> Example:
    label = words["label"]
    label = tuple(nan if v is None else float(v) for v in label) if isinstance(label, list) else int(label)
    file = str(files.file(words["id"]))
    return Example(words["id"], label, words["patient"], words["split"], file, attributes=words["attributes"])


def _listed(root: Path) -> dict[tuple[str, str], dict[str, str]]:
    """The manifest, once every file in it is found to be there, of the size that was written."""
    lines = list(csv.DictReader(_text(root / MANIFEST).splitlines()))
    for line in lines:
        path = root / line["file"]
        if not path.is_file():
            raise DataError(f"{path}: expected a file of the frozen set, which is not there: copy it again")
        if path.stat().st_size != int(line["bytes"]):
            raise DataError(f"{path}: expected {line['bytes']} bytes, got {path.stat().st_size}: the file was changed, copy it again")
    return {(line["id"], line["sequence"]): line for line in lines}


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, got something else ({error}): copy the set again") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected a table of a frozen set, which cannot be read ({error}): copy the set again") from None
