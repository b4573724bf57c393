"""The worst case beside a dense grid, its coarse grid alone, and chance: docs/worst-case.md.

python -m benchmarks.worst_case --model RUN --data ham10000:PATH [--images 100] [--dense 21 5 5] [--name "a network"]

RUN is a network of `robustdx harden`. --dense: points for rotation, for the shift in each of the two ways, and for the scale. What is in
`results/worst_case.jsonl` is not measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from robustdx.data import load_dataset
from robustdx.data.batches import batch
from robustdx.data.split import subset
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, ModelSpec, Subject, load, still
from robustdx.perturbations.box import Box, Sampled, WorstCase

RESULTS = Path(__file__).parent / "results" / "worst_case.jsonl"
PAGE = Path(__file__).parents[1] / "docs" / "worst-case.md"
MEASURED = "## What was measured\n"
PLACE = Box().only("rotation", "shift", "scale")
ALONE = ("brightness", "contrast", "hue", "blur", "rotation", "shift", "scale")
COUNT = 10
"""Random points for each image."""


@dataclass(frozen=True)
class Line:
    """What one way to look left standing, of one network."""

    network: str
    images: int
    who: str
    accuracy: float
    passes: float
    """Forward and backward, for each image."""
    most: int
    """For the image that took the most."""
    wrong: list[str]


def ways(dense: tuple[int, int, int]) -> dict[str, WorstCase]:
    """The searches that are compared; the dense grid holds the coarse one."""
    rotations, shifts, scales = dense
    grid = WorstCase(box=PLACE, rotations=rotations, shifts=shifts, scales=scales, starts=0, samples=0)
    coarse = WorstCase(box=PLACE, starts=0, samples=0)
    named = {f"dense grid of {len(grid.grid):,}": grid, f"coarse grid of {len(coarse.grid)}": coarse, "worst case": WorstCase(box=PLACE)}
    named |= {"worst case, colour and blur too": WorstCase()}
    return named | {f"worst case, {name} alone": WorstCase(box=Box().only(name)) for name in ALONE}


def measured(name: str, model: DiagnosticModel, data: Any, dense: tuple[int, int, int], known: set[tuple[str, int, str]]) -> None:
    """One network, each way once; every line is written as soon as it is known."""
    x, y = batch(data, range(len(data)), model.size, model.channels)
    x, draws = x.float() / 255, Draws(0, tuple(e.id for e in data.examples))
    with still(model):
        for who, search in ways(dense).items():
            if (name, len(x), who) not in known:
                found = search(Subject(model), x, y, draws)
                passes = [f + b for f, b in zip(found.forwards, found.backwards, strict=True)]
                write(line(name, who, found.errors, draws, passes))
        if (name, len(x), "as they are") not in known:
            for who, box in (("at random", PLACE), ("at random, colour and blur too", Box())):
                errors = Sampled(box=box, count=COUNT)(model, x, y, draws)
                write(line(name, f"mean of {COUNT} {who}", errors.mean(1), draws, [COUNT] * len(x)))
                write(line(name, f"worst of {COUNT} {who}", errors.amax(1), draws, [COUNT] * len(x)))
            with torch.no_grad():
                errors = model.task.errors(model(x, draws), y)
            write(line(name, "as they are", errors, draws, [1] * len(x)))


def line(name: str, who: str, errors: torch.Tensor, draws: Draws, passes: list[int]) -> Line:
    wrong = [i for i, e in zip(draws.ids, errors.tolist(), strict=True) if e == 1]
    return Line(name, len(errors), who, 1 - errors.mean().item(), sum(passes) / len(passes), max(passes), wrong)


def write(found: Line) -> None:
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(found)) + "\n")


def read() -> list[Line]:
    return [Line(**json.loads(row)) for row in RESULTS.read_text(encoding="utf-8").splitlines()] if RESULTS.is_file() else []


def table(lines: list[Line]) -> str:
    """The lines of every network beside its dense grid."""
    parts = []
    for name, images in dict.fromkeys((found.network, found.images) for found in lines):
        own = {found.who: found for found in lines if (found.network, found.images) == (name, images)}
        parts.append(f"### {name}, {images} test images\n\n{rows(own)}")
    return "\n\n".join(parts)


def rows(own: Mapping[str, Line]) -> str:
    dense = next((found for who, found in own.items() if who.startswith("dense")), None)
    told = ["| who | accuracy | passes an image | most | of the dense grid's passes |", "|---|--:|--:|--:|--:|"]
    for who, found in sorted(own.items(), key=lambda item: -item[1].accuracy):
        share = f"{found.passes / dense.passes:.0%}" if dense else ""
        told.append(f"| {who} | {found.accuracy:.1%} | {found.passes:.1f} | {found.most} | {share} |")
    return "\n".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--dense", type=int, nargs=3, default=(21, 5, 5))
    parser.add_argument("--name", default="A network")
    args = parser.parse_args()
    data = load_dataset(args.data)
    model = load(ModelSpec(source=args.model), data.kind, data.classes).eval()
    known = {(found.network, found.images, found.who) for found in read()}
    measured(args.name, model, subset(data.only("test"), args.images), tuple(args.dense), known)
    text = PAGE.read_text(encoding="utf-8")
    about = text[text.index(MEASURED) :].split("\n### ")[0].rstrip()
    PAGE.write_text(f"{text[: text.index(MEASURED)]}{about}\n\n{table(read())}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
