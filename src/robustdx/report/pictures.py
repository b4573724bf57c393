"""Images before and after an attack, with what changed made visible. No torch."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from robustdx.report.findings import UNSEEN, CellResult, Findings, key
from robustdx.report.numbers import eps_text, joined, percent, threat_name

MOST = 6
"""Examples in the page."""
LONGEST = 320
"""Longest side of a picture in the page; larger images are shown smaller, after the difference was taken."""
LETTERS = 2_400_000
"""Characters of pictures in the page, so that it stays below 8 MB with plotly.js."""
GREY = 128

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Example:
    """One broken image as the page shows it."""

    id: str
    attack: str
    budget: str
    truth: str
    before: str
    after: str
    clean: str
    """The image as it came, as a data URI; `saved` after the attack, `change` what differs."""
    saved: str
    change: str
    factor: float
    """By how much the change was amplified."""
    largest: int
    """The largest change of a pixel, in steps of 255."""

    @property
    def letters(self) -> int:
        return len(self.clean) + len(self.saved) + len(self.change)


def examples(folder: Path, f: Findings) -> list[Example]:
    """A few broken images, the smallest visible evidence first, never more than fits the page."""
    kept: list[Example] = []
    for example in _in_turn(folder, f):
        if len(kept) == MOST or sum(e.letters for e in [*kept, example]) > LETTERS:
            break
        kept.append(example)
    return kept


def amplified(clean: Pixels, saved: Pixels) -> tuple[Pixels, float, int]:
    """The difference stretched to the full range about mid-grey, by how much, and its largest step.

    >>> amplified(np.uint8([[10, 10]]), np.uint8([[12, 9]]))
    (array([[255,  64]], dtype=uint8), 63.5, 2)
    """
    difference = saved.astype(np.int16) - clean.astype(np.int16)
    largest = int(np.abs(difference).max())
    factor = 127 / largest if largest else 1.0
    return np.clip(np.rint(GREY + factor * difference), 0, 255).astype(np.uint8), factor, largest


def _in_turn(folder: Path, f: Findings) -> Iterator[Example]:
    """One example of each cell, then a second of each, ...; cells whose change cannot be seen come first."""
    attacked = [c for c in f.cells if c["attack"] not in ("clean", "worst") and (folder / "pictures" / key(c) / "index.json").exists()]
    attacked.sort(key=lambda c: (c["threat"] != "linf", c["eps"] > UNSEEN, abs(c["eps"] - UNSEEN), c["attack"] != f.strongest))
    indices = {key(c): json.loads((folder / "pictures" / key(c) / "index.json").read_text(encoding="utf-8")) for c in attacked}
    shown: set[str] = set()
    for n in range(max(map(len, indices.values()), default=0)):
        for cell in attacked:
            rows = [r for r in indices[key(cell)][n:] if str(r["id"]) not in shown][:1]
            for row in rows:
                shown.add(str(row["id"]))
                yield _example(folder / "pictures" / key(cell), indices[key(cell)].index(row), row, cell, f)


def examples_of(home: Path, f: Findings) -> list[Example]:
    """The pictures of a cell without an adversary, from its own folder."""
    rows = json.loads((home / "index.json").read_text(encoding="utf-8"))
    return [_example(home, n, row, {"attack": "", "threat": "", "eps": 0.0}, f) for n, row in enumerate(rows)]


def _example(folder: Path, n: int, row: dict[str, Any], cell: CellResult, f: Findings) -> Example:
    clean, saved = (_read(folder / f"{n:02d}-{form}.png") for form in ("clean", "saved"))
    change, factor, largest = amplified(clean, saved)
    return Example(
        id=str(row["id"]),
        attack=str(cell["attack"]).upper(),
        budget=f"{threat_name(cell['threat'])} {eps_text(cell['threat'], cell['eps'])}",
        truth=_named(row["label"], f),
        before=_answer(row["before"], row.get("p_before"), f),
        after=_answer(row["after"], row.get("p_after"), f),
        clean=data_uri(clean),
        saved=data_uri(saved),
        change=data_uri(change),
        factor=factor,
        largest=largest,
    )


def _read(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image)


def data_uri(pixels: Pixels) -> str:
    """Pixels as a lossless image inside the page."""
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST, LONGEST))
    file = io.BytesIO()
    image.save(file, "webp", lossless=True, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _answer(decision: Any, probability: Any, f: Findings) -> str:
    """A decision with its probability, as far as both are known."""
    text, values = _named(decision, f), probability if isinstance(probability, list) else [probability]
    if f.kind == "multilabel":
        return text
    if len(values) == len(f.classes) > 1 and not isinstance(decision, str):
        values = [values[int(decision[0] if isinstance(decision, list) else decision)]]
    return f"{text}, {percent(values[0], 0)}" if len(values) == 1 and isinstance(values[0], int | float) else text


def _named(value: Any, f: Findings) -> str:
    """A label or decision in words: a class, or the findings that are present."""
    if isinstance(value, str):
        return value
    if f.kind == "multilabel":
        return joined([c for c, v in zip(f.classes, value, strict=False) if v == 1]) or "no finding"
    return f.classes[int(value[0] if isinstance(value, list) else value)]
