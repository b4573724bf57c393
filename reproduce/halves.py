"""A table of images with a column split, by patient: 45 % train, 10 % val, 45 % test, so that small sets leave enough to attack.

python -m reproduce.halves INDEX.csv OUT.csv --patient patient --label diagnosis
"""

from __future__ import annotations

import argparse
import csv
import random
from pathlib import Path

ROUND = ("train", "test") * 4 + ("val", "train", "test", "train", "test") + ("val", "test", "train")
"""Dealt over and over to the patients of a class."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patient", required=True, help="the column that names the patient")
    parser.add_argument("--label", required=True, help="the column whose classes are dealt one after the other")
    args = parser.parse_args()
    with args.index.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    worst = {row[args.patient]: max(r[args.label] for r in rows if r[args.patient] == row[args.patient]) for row in rows}
    order = sorted(worst)
    random.Random(0).shuffle(order)
    order.sort(key=worst.__getitem__)
    split = {patient: ROUND[i % len(ROUND)] for i, patient in enumerate(order)}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], "split"])
        writer.writeheader()
        writer.writerows({**row, "split": split[row[args.patient]]} for row in rows)


if __name__ == "__main__":
    main()
