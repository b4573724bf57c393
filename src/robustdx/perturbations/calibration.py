"""Whether severities are what they say: how far each takes real images, by structural similarity (Wang et al. 2004).

    python -m robustdx.perturbations.calibration --data folder:scans --modality x-ray

A scale is in order where the mean over the images falls with every severity, and where no single image becomes more similar to its clean
self, from one severity to the next, by more than `SLACK`.
"""

from __future__ import annotations

import argparse
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from skimage.metrics import structural_similarity

from robustdx.data import Dataset, load_dataset
from robustdx.data.batches import batch
from robustdx.draws import Draws
from robustdx.errors import ImageError
from robustdx.perturbations import PERTURBATIONS, SEVERITIES, Modality, Perturbation
from robustdx.tensors import Images

SLACK = 0.02
"""How much more similar one image may become from one severity to the next."""
TOGETHER = 8
"""Images perturbed in one call."""


@dataclass(frozen=True)
class Scale:
    """What the severities of one perturbation did to a set of images."""

    name: str
    similarity: np.ndarray
    """Structural similarity with the clean image, (N, 5)."""

    @property
    def means(self) -> np.ndarray:
        """The mean over the images, (5,)."""
        return self.similarity.mean(0)

    @property
    def falls(self) -> bool:
        """Whether the mean falls strictly, from the clean image on."""
        return bool((np.diff(self.means, prepend=1.0) < 0).all())

    @property
    def worst(self) -> float:
        """By how much the image that breaks the order most becomes more similar; 0 or below where none does."""
        return float(np.diff(self.similarity, prepend=1.0, axis=1).max())

    @property
    def in_order(self) -> bool:
        """Whether severities mean on every one of these images what they say."""
        return self.falls and self.worst <= SLACK


def believable(modality: Modality | None) -> dict[str, Perturbation]:
    """What may happen to images of a modality, at its default settings; with None, what may happen to any image."""
    methods = {name: PERTURBATIONS.parse(name) for name in PERTURBATIONS.methods}
    return {name: method for name, method in methods.items() if not method.modalities or modality in method.modalities}


def calibrate(images: Images, perturbations: Mapping[str, Perturbation], draws: Draws) -> Iterator[Scale]:
    """The scale of each perturbation on images (N, C, H, W); one that refuses such images is passed over."""
    for name, perturb in perturbations.items():
        try:
            perturb(images[:1], 1, draws.take([0]))
        except ImageError:
            continue
        yield Scale(name, similarities(images, perturb, draws))


def similarities(images: Images, perturb: Perturbation, draws: Draws) -> np.ndarray:
    """Structural similarity (N, 5) of images with themselves perturbed, rounded to 8 bits as an audit judges them."""
    rows = np.empty((len(images), len(SEVERITIES)))
    for start in range(0, len(images), TOGETHER):
        index = list(range(start, min(start + TOGETHER, len(images))))
        for k, severity in enumerate(SEVERITIES):
            after = (perturb(images[index], severity, draws.take(index)) * 255).round() / 255
            for i, image in zip(index, after, strict=True):
                rows[i, k] = structural_similarity(images[i].numpy(), image.numpy(), channel_axis=0, data_range=1.0)
    return rows


def spread(dataset: Dataset, count: int, size: int, channels: int) -> tuple[Images, tuple[str, ...]]:
    """Images at even distances through a set, so that every class is among them, `size` pixels square; and their ids."""
    index = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int).tolist()
    x, _ = batch(dataset, index, (size, size), channels)
    return x.float() / 255, tuple(dataset.examples[i].id for i in index)


def table(scales: Sequence[Scale]) -> str:
    """The scales in Markdown, in the order in which they came."""
    head = "| perturbation | " + " | ".join(map(str, SEVERITIES)) + " | mean falls | largest break |\n"
    rule = "|---|" + "---:|" * len(SEVERITIES) + "---|---:|\n"
    return head + rule + "\n".join(_row(scale) for scale in scales) + "\n"


def _row(scale: Scale) -> str:
    means = " | ".join(f"{mean:.3f}" for mean in scale.means)
    worst = "none" if scale.worst <= 0 else f"{scale.worst:.3f}"
    return f"| `{scale.name}` | {means} | {'yes' if scale.falls else '**no**'} | {worst if scale.worst <= SLACK else f'**{worst}**'} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a data set, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m robustdx.perturbations.calibration", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, help="folder:PATH, ham10000:PATH, csv:PATH, ...")
    parser.add_argument("--modality", choices=typing.get_args(Modality), help="adds what is believable there alone")
    parser.add_argument("--images", type=int, default=200, help="how many, at even distances through the set")
    parser.add_argument("--size", type=int, default=224, help="height and width to which images are brought first")
    parser.add_argument("--channels", type=int, default=3, choices=(1, 3))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these perturbations, or presets, alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a Markdown file; left out, the terminal")
    wanted = parser.parse_args(arguments)
    images, ids = spread(load_dataset(wanted.data), wanted.images, wanted.size, wanted.channels)
    chosen = {name: PERTURBATIONS.parse(name) for name in wanted.only} if wanted.only else believable(wanted.modality)
    console = Console(stderr=True)
    with torch.no_grad():
        scales = calibrate(images, chosen, Draws(wanted.seed, ids))
        text = table(list(track(scales, total=len(chosen), console=console, description="calibrating")))
    if wanted.out:
        wanted.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
