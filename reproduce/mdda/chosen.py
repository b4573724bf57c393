"""The images that are measured: a split table of whole lesions, drawn at random, with at most so many images of a class.

python -m reproduce.mdda.chosen DATA OUT.csv --val 30 --test 120

Nevi are two thirds of HAM10000. Here no class has more than the most, and the rare ones have all that there are. What is not drawn
is called `left`. A smaller table is part of a larger one.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from robustdx.data import Dataset, load_dataset


def drawn(dataset: Dataset, split: str, most: int) -> set[str]:
    """The images of whole lesions until each class has `most` (the last lesion may bring more)."""
    lesions = defaultdict(list)
    for example in dataset.only(split).examples:
        lesions[example.patient or example.id].append(example)
    order = sorted(lesions)
    random.Random(0).shuffle(order)
    have, taken = Counter[object](), set()
    for lesion in order:
        label = lesions[lesion][0].label
        if have[label] < most:
            have[label] += len(lesions[lesion])
            taken |= {example.id for example in lesions[lesion]}
    return taken


def written(dataset: Dataset, most: Mapping[str, int], out: Path) -> None:
    """The table; images of other splits stay where they are."""
    taken = {split: drawn(dataset, split, n) for split, n in most.items()}
    rows = [(e.id, "left" if e.split in taken and e.id not in taken[e.split] else e.split) for e in dataset.examples]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "split"), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--val", type=int, default=30)
    parser.add_argument("--test", type=int, default=120)
    args = parser.parse_args()
    written(load_dataset(args.data), {"val": args.val, "test": args.test}, args.out)


if __name__ == "__main__":
    main()
