"""Train, validation and test, without ever cutting a patient or a lesion in two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from robustdx.data.protocol import Dataset, Example
from robustdx.data.tables import by_image
from robustdx.errors import DataError

_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test", "test_v2": "test",
}  # fmt: skip
_ROUND = (
    ("train",) * 3
    + ("val", "train", "test")
    + ("train",) * 3
    + ("val",)
    + ("train",) * 3
    + ("test",)
    + ("train",) * 3
    + ("val", "train", "test")
)
"""Dealt out over and over: 14 train, 3 val, 3 test, spread so that a few groups already give all three."""


def split_name(word: str) -> str | None:
    """`train`, `val` or `test` for the words people use for them, whatever the case; None for any other word."""
    return _NAMES.get(word.strip().lower())


def with_splits(dataset: Dataset, seed: int = 0) -> Dataset:
    """The set with train, val and test: 70, 15 and 15 % where it has no split; val out of train where only val is missing.

    Whole groups are dealt, class by class, in an order that depends on the seed and the group's name alone: not on the
    order of the images, not on the computer. A set that names its own splits keeps them.

    Raises:
        DataError: some images have a split and others have none.
    """
    homeless = [e.id for e in dataset.examples if e.split is None]
    if dataset.splits and homeless:
        raise DataError(
            f"{dataset.name}: expected a split for every image or for none, got none for {len(homeless)} such as {homeless[0]!r}"
        )
    if dataset.splits in ((), ("train",)):
        return _dealt(dataset, dataset.examples, _ROUND, seed)
    if "train" in dataset.splits and "test" in dataset.splits and "val" not in dataset.splits:
        without_test = tuple("train" if s == "test" else s for s in _ROUND)
        return _dealt(dataset, [e for e in dataset.examples if e.split == "train"], without_test, seed)
    return dataset


def cut_groups(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """The patients or lesions that lie in more than one split, and which: what makes a test result too good."""
    where: dict[str, set[str]] = defaultdict(set)
    for example in dataset.examples:
        if example.patient is not None and example.split is not None:
            where[example.patient].add(example.split)
    return {patient: tuple(sorted(splits)) for patient, splits in where.items() if len(splits) > 1}


def subset(dataset: Dataset, images: int, seed: int = 0) -> Dataset:
    """A quick look: whole patients, drawn until there are that many images (the last patient may bring a few more).

    One patient of each class comes first, the rarest class first, then any; the same seed draws the same.
    """
    if images < 1:
        raise DataError(f"expected at least 1 image for a quick look, got {images}")
    groups, taken, count = _groups(dataset.examples), set(), 0
    for name in _drawing_order(groups, seed):
        if count >= images:
            break
        taken.add(name)
        count += len(groups[name])
    return replace(dataset, examples=[e for e in dataset.examples if _group(e) in taken])


def split_by_table(dataset: Dataset, name: str, root: Path) -> Dataset:
    """The set with the splits of a CSV file with the columns image and split, images named by their id.

    The file is looked for as named, then in the folder `root` of the set.

    Raises:
        DataError: the file does not say where an image belongs, or says it twice.
    """
    path = Path(name) if Path(name).exists() else root / name
    rows = by_image(path, "image", needs=("split",))
    missing = [e.id for e in dataset.examples if not rows.get(e.id, {}).get("split")]
    if missing:
        raise DataError(f"{path}: expected a split for every image, got none for {len(missing)} such as {missing[0]!r}: add the rows")
    examples = [replace(e, split=split_name(rows[e.id]["split"]) or rows[e.id]["split"]) for e in dataset.examples]
    return replace(dataset, examples=examples)


def _dealt(dataset: Dataset, among: Iterable[Example], pattern: tuple[str, ...], seed: int) -> Dataset:
    groups = _groups(among)
    order = sorted(groups, key=lambda name: (_stratum(groups[name]), _shuffle(seed, name)))
    split = {name: pattern[i % len(pattern)] for i, name in enumerate(order)}
    examples = [replace(e, split=split[_group(e)]) if e.split != "test" else e for e in dataset.examples]
    return replace(dataset, examples=examples)


def _drawing_order(groups: dict[str, list[Example]], seed: int) -> list[str]:
    order = sorted(groups, key=lambda name: _shuffle(seed, name))
    first_of: dict[int, str] = {}
    frequency: dict[int, int] = defaultdict(int)
    for name in order:
        for c in {c for e in groups[name] for c in _classes(e)}:
            first_of.setdefault(c, name)
            frequency[c] += 1
    one_each = [first_of[c] for c in sorted(first_of, key=lambda c: (frequency[c], c))]
    return list(dict.fromkeys([*one_each, *order]))


def _groups(examples: Iterable[Example]) -> dict[str, list[Example]]:
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[_group(example)].append(example)
    return groups


def _group(example: Example) -> str:
    """What is never cut: the patient, or the image where no patient is known."""
    return f"patient {example.patient}" if example.patient is not None else f"image {example.id}"


def _classes(example: Example) -> list[int]:
    label = example.label
    return [label] if isinstance(label, int) else [k for k, value in enumerate(label) if value == 1]


def _stratum(group: list[Example]) -> list[int]:
    return min(_classes(e) for e in group)


def _shuffle(seed: int, name: str) -> bytes:
    return blake2b(f"{seed}\x1f{name}".encode(), digest_size=16).digest()
