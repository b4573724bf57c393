"""Of copies planted in a real set, how many does `robustdx inspect` find, for each way to change a copy?

    python benchmarks/inspect_planted_copies.py SOURCE ... [--each 12]

SOURCE is what `robustdx inspect` takes. Copies are made in memory: the set's own images, drawn with a seed, changed and
appended. Prints, for each change, the copies found beside their originals, and the pairs between others than those.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from robustdx.data import Dataset, Example, Pixels, load_dataset
from robustdx.data.inspection.inspect import inspect
from robustdx.data.read import resized


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def crop(image: Image.Image, share: float, x: float, y: float) -> Image.Image:
    width, height = image.size
    left, top = round(width * (1 - share) * x), round(height * (1 - share) * y)
    return image.crop((left, top, left + round(width * share), top + round(height * share)))


def stamp(image: Image.Image) -> Image.Image:
    ImageDraw.Draw(image).rectangle((0, 0, image.width * 0.4, image.height * 0.12), fill="white")
    return image


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG quality 30": lambda i: jpeg(i, 30),
    "half the size": lambda i: i.resize((max(32, i.width // 2), max(32, i.height // 2))),
    "squashed": lambda i: i.resize((180, 180)),
    "grey": lambda i: i.convert("L").convert("RGB"),
    "brighter": lambda i: ImageEnhance.Brightness(i).enhance(1.3),
    "flatter": lambda i: ImageEnhance.Contrast(i).enhance(0.6),
    "blurred": lambda i: i.filter(ImageFilter.GaussianBlur(max(i.size) / 150)),
    "mirrored": lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned by 90": lambda i: i.transpose(Image.Transpose.ROTATE_90),
    "tilted by 5": lambda i: i.rotate(5, Image.Resampling.BILINEAR),
    "cropped to 95 %": lambda i: crop(i, 0.95, 0.2, 0.7),
    "cropped to 90 %": lambda i: crop(i, 0.90, 0.9, 0.3),
    "cropped to 80 %": lambda i: crop(i, 0.80, 0.3, 0.6),
    "cropped to 70 %": lambda i: crop(i, 0.70, 0.6, 0.4),
    "stamped": stamp,
}


def planted(dataset: Dataset, each: int) -> tuple[Dataset, dict[int, tuple[int, str]]]:
    """The set with changed copies after it, and for each copy's position its original's and the change."""
    rng = np.random.default_rng(0)
    origins = rng.choice(len(dataset), min(each * len(CHANGES), len(dataset)), replace=False)
    changes = [list(CHANGES)[k % len(CHANGES)] for k in range(len(origins))]
    copies = [Example(id=f"copy {k}", label=dataset.examples[o].label) for k, o in enumerate(origins)]
    pixels: dict[str, Pixels] = {}
    for copy, origin, change in zip(copies, origins, changes, strict=True):
        pixels[copy.id] = np.asarray(CHANGES[change](Image.fromarray(dataset.read(dataset.examples[origin], None, 3))))

    def read(example: Example, size: tuple[int, int] | None, channels: int) -> Pixels:
        return resized(pixels[example.id], size, channels) if example.id in pixels else dataset.read(example, size, channels)

    truth = {len(dataset) + k: (int(o), change) for k, (o, change) in enumerate(zip(origins, changes, strict=True))}
    return replace(dataset, examples=[*dataset.examples, *copies], read=read), truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--each", type=int, default=12, help="copies for each change")
    arguments = parser.parse_args()
    for source in arguments.sources:
        dataset, truth = planted(load_dataset(source), arguments.each)
        found = inspect(dataset)
        group = {i: number for number, members in enumerate(found.copies) for i in members}
        hits = Counter(change for copy, (origin, change) in truth.items() if copy in group and group[copy] == group.get(origin))
        made = Counter(change for _, change in truth.values())
        wrong = [p for p in found.pairs if p.second in truth and group[p.second] != group.get(truth[p.second][0], -1)]
        found_of = f"{sum(hits.values())}/{sum(made.values())} copies found"
        print(f"\n{Path(source).name}: {len(dataset)} images, {found_of}, {len(wrong)} under another image")
        print("  " + ", ".join(f"{change} {hits[change]}/{made[change]}" for change in CHANGES), flush=True)


if __name__ == "__main__":
    main()
