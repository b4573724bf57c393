"""A contact sheet: one picture of what perturbations or sequences make of one image (`robustdx perturb --sheet`).

Every tile is shown pixel by pixel as it was made, so the image is brought to the size of a tile first and perturbed then.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from robustdx.auditing.files.freezing import Freezing
from robustdx.auditing.files.incoming import on_grid
from robustdx.auditing.files.perturbed import Perturbing, called
from robustdx.auditing.run import Progress
from robustdx.data import Example, Pixels
from robustdx.errors import PlanError, RunError
from robustdx.store import Store

SIDE = 224
"""The longer side of a tile in pixels, where no size is named."""
GAP, LETTERS = 6, 18
"""Pixels between tiles, and the height of the letters."""
PAPER, INK = (255, 255, 255), (20, 20, 20)
KEY = "robustdx"
"""Where a sheet keeps what it shows."""


@dataclass(frozen=True)
class Row:
    """One perturbation or sequence."""

    label: str
    tiles: Sequence[Pixels]


def compose(rows: Sequence[Row], columns: Sequence[str]) -> Image.Image:
    """Rows of tiles of one size, under their captions and beside their labels."""
    font = ImageFont.load_default(LETTERS)
    height, width = rows[0].tiles[0].shape[:2]
    left = round(max(font.getlength(row.label) for row in rows)) + 2 * GAP
    top = LETTERS + 3 * GAP
    sheet = Image.new("RGB", (left + len(columns) * (width + GAP), top + len(rows) * (height + GAP)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for n, caption in enumerate(columns):
        pen.text((left + n * (width + GAP) + width / 2, top / 2), caption, INK, font, anchor="mm")
    for m, row in enumerate(rows):
        y = top + m * (height + GAP)
        pen.text((GAP, y + height / 2), row.label, INK, font, anchor="lm")
        for n, tile in enumerate(row.tiles):
            sheet.paste(Image.fromarray(_colour(tile)), (left + n * (width + GAP), y))
    return sheet


def of_perturbations(ready: Perturbing, example: Example, progress: Progress) -> Image.Image:
    """Rows of perturbations; the clean image, then each severity."""
    clean = ready.incoming.pixels(example)
    rows = []
    for n, method in enumerate(ready.perturbations):
        made = [on_grid(ready.perturbed(example, clean, method, severity)[0]) for severity in ready.severities]
        rows.append(Row(called(method).replace("_", " "), [clean, *made]))
        progress("perturbing", n + 1, len(ready.perturbations))
    return compose(rows, ["clean", *map(str, ready.severities)])


def of_sequences(ready: Freezing, example: Example, progress: Progress) -> Image.Image:
    """Rows of sequences; their frames one after the other."""
    clean = ready.incoming.pixels(example)
    rows = []
    for n, name in enumerate(ready.sequences):
        rows.append(Row(name.replace("_", " "), list(ready.frames(name, [example], clean[None])[0])))
        progress("making frames", n + 1, len(ready.sequences))
    return compose(rows, [str(i + 1) for i in range(ready.count)])


def write_sheet(ready: Perturbing | Freezing, out: Path, *, image: str | None, progress: Progress) -> bool:
    """Write the sheet of an image, the first one where none is named; False where it is there already.

    Raises:
        PlanError: no such image, or a name that does not end in .png.
        RunError: the file is another sheet, or something else.
    """
    if out.suffix.lower() != ".png":
        raise PlanError(f"a contact sheet is a .png, got --out {out}: name it {out.name or 'sheet'}.png")
    ready.require_apart(out)
    example = _named(ready.incoming.data.examples, image)
    if ready.incoming.size is None:
        ready = replace(ready, incoming=replace(ready.incoming, size=tile_size(ready.incoming.pixels(example))))
    words = json.dumps({**ready.words(), "made": "a contact sheet", "image": example.id})
    if out.exists():
        _require_ours(out, words)
        return False
    make = of_perturbations(ready, example, progress) if isinstance(ready, Perturbing) else of_sequences(ready, example, progress)
    file, text = io.BytesIO(), PngInfo()
    text.add_text(KEY, words)
    make.save(file, format="PNG", pnginfo=text)
    Store(out.parent).write_bytes(out.name, file.getvalue())
    return True


def tile_size(pixels: Pixels) -> tuple[int, int]:
    """Height and width of a tile of an image: its own, or scaled down so that its longer side is SIDE."""
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _named(examples: Sequence[Example], image: str | None) -> Example:
    if image is None:
        return examples[0]
    found = [e for e in examples if e.id == image]
    if not found:
        raise PlanError(f"expected the id of an image, such as {examples[0].id!r}, got {image!r}: there is none of that name")
    return found[0]


def _require_ours(out: Path, words: str) -> None:
    """Refuse to write over what is not this very sheet."""
    held: dict[Any, Any] = {}
    try:
        with Image.open(out) as picture:
            held = picture.info
    except OSError:
        pass
    if held.get(KEY) != words:
        what = "another contact sheet" if KEY in held else "something else"
        raise RunError(f"{out} is there already, and is {what}: give another --out, or remove it")


def _colour(tile: Pixels) -> Pixels:
    return np.broadcast_to(tile, (*tile.shape[:2], 3)) if tile.shape[2] == 1 else tile
