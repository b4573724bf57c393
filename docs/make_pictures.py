"""A picture of each perturbation and sequence, and the page that shows them: `make docs-pictures`.

They are made on one of the built-in invented lesions, so that no patient is in the repository.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from robustdx.data import load_dataset
from robustdx.draws import Draws
from robustdx.perturbations import PERTURBATIONS, SEQUENCES, SEVERITIES
from robustdx.perturbations.artefacts import ARTEFACTS
from robustdx.perturbations.corruptions import CORRUPTIONS
from robustdx.perturbations.sequences.presets import preset
from robustdx.tensors import Images

HERE = Path(__file__).parent
PICTURES, PAGE = HERE / "pictures" / "perturbations", HERE / "perturbations.md"
SIDE, GAP = 120, 4
COLOURLESS = frozenset({"x-ray", "ct", "mr"})
FRAMES = (0, 2, 5, 8, 10)
"""Which frames of the 11 of `centred` are shown; the middle one is the sixth."""

HEAD = """\
# Natural perturbations

What can happen to an image without an adversary, at the severities 1 to 5 beside the image as it came. Plans, `robustdx perturb` and
`robustdx describe` use these names. The pictures are of an invented lesion (`--data synthetic`), in grey for what happens to X-rays and
slices, {side} pixels wide; on photographs of patients look with

```sh
robustdx perturb --data folder:scans --perturbation all --modality dermoscopy --sheet --out sheet.png
```

What the numbers mean for a patient: [natural-perturbations.md](natural-perturbations.md). This page is made by `make docs-pictures`.
"""
SEQUENCES_HEAD = """\
## Sequences

Frames 1, 3, 6, 9 and 11 of the preset `centred`. Noise, zoom blur, snow and spatter begin with the clean image; the others have it in the
middle. `xu2021` and `imagenet-p` take other settings (`robustdx perturb --preset`).
"""


@dataclass(frozen=True)
class Entry:
    """A method as the page shows it."""

    name: str
    method: type
    picture: Path

    @property
    def first_line(self) -> str:
        """What it does, in its own words."""
        return (inspect.getdoc(self.method) or "").partition("\n")[0]


def perturbations() -> list[Entry]:
    """Every perturbation of our own."""
    return [Entry(name, cls, PICTURES / f"{name}.webp") for name, cls in PERTURBATIONS.own.items()]


def sequences() -> list[Entry]:
    """Every sequence of our own; some have the name of a perturbation."""
    return [Entry(name, cls, PICTURES / f"sequence-{name}.webp") for name, cls in SEQUENCES.own.items()]


def page() -> str:
    """The page in words."""
    return HEAD.format(side=SIDE) + "".join(_sections())


def draw() -> None:
    """Make every picture anew."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    made = dict(preset("centred")[0])
    with torch.no_grad():
        for entry in perturbations():
            x, draws = _image(grey=bool(COLOURLESS & set(entry.method.modalities)))
            method = entry.method()
            _save([x, *(method(x, s, draws.fork("perturbation", entry.name)) for s in SEVERITIES)], entry.picture)
        for entry in sequences():
            x, draws = _image(grey=False)
            frames = list(made[entry.name].frames(x, 11, draws.fork("sequence", entry.name)))
            _save([frames[i] for i in FRAMES], entry.picture)


def _sections() -> Iterator[str]:
    found = {entry.name: entry for entry in perturbations()}
    yield "\n## Corruptions: any image\n" + _shown([found[name] for name in CORRUPTIONS])
    by_kind: dict[tuple[str, ...], list[Entry]] = {}
    for name in ARTEFACTS:
        by_kind.setdefault(found[name].method.modalities, []).append(found[name])
    for kind, entries in by_kind.items():
        yield f"\n## Artefacts: {_together(kind) or 'any image'}\n" + _shown(entries)
    yield "\n" + SEQUENCES_HEAD + _shown(sequences())


def _together(words: tuple[str, ...]) -> str:
    """`ct, mr and x-ray`."""
    return ", ".join(words[:-1]) + " and " * (len(words) > 1) + "".join(words[-1:])


def _shown(entries: list[Entry]) -> str:
    return "".join(f"\n`{e.name}`: {e.first_line}\n\n![{e.name}]({e.picture.relative_to(HERE).as_posix()})\n" for e in entries)


def _image(*, grey: bool) -> tuple[Images, Draws]:
    data = load_dataset("synthetic,images=20")
    example = data.examples[2]
    pixels = data.read(example, (SIDE, SIDE), 1 if grey else 3)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].float() / 255, Draws(0, (example.id,))


def _save(tiles: list[Images], path: Path) -> None:
    sheet = np.full((SIDE, len(tiles) * (SIDE + GAP) - GAP, 3), 255, np.uint8)
    for n, tile in enumerate(tiles):
        sheet[:, n * (SIDE + GAP) :][:, :SIDE] = (tile[0].expand(3, -1, -1).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(sheet).save(path, format="WEBP", quality=75, method=6)


if __name__ == "__main__":
    draw()
    PAGE.write_text(page(), encoding="utf-8")
