"""What is wrong with a data set, before anything is trained or tested on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

from robustdx.data.inspection.duplicates import Pair, duplicates, groups
from robustdx.data.inspection.fingerprint import Progress, fingerprints
from robustdx.data.inspection.oddities import oddities, unlisted
from robustdx.data.protocol import Dataset, Example
from robustdx.data.split import cut_groups


@dataclass(frozen=True)
class Inspection:
    """The findings of one data set; positions are those of `dataset.examples`."""

    dataset: Dataset
    unreadable: Mapping[int, str]
    """Images that cannot be read, and why."""
    odd: Mapping[int, str]
    """Images unlike the rest in size, colour or content, and how."""
    pairs: Sequence[Pair]
    """Pairs of images that are one picture."""
    copies: Sequence[Sequence[int]]
    """Groups of images that are one picture, from `pairs`."""
    cut: Mapping[str, tuple[str, ...]]
    """Patients or lesions that lie in more than one split."""
    unlisted: Sequence[str]
    """Image files beside those of the set that no example names."""

    @property
    def across_splits(self) -> list[Sequence[int]]:
        """Groups of copies of which not all lie in one split."""
        return [g for g in self.copies if len({self.dataset.examples[i].split for i in g}) > 1]

    @property
    def conflicts(self) -> list[Sequence[int]]:
        """Groups of copies of which not all have one label."""
        return [g for g in self.copies if len({label_words(self.dataset, self.dataset.examples[i]) for i in g}) > 1]

    @property
    def across_patients(self) -> list[Sequence[int]]:
        """Groups of copies that are filed under more than one patient or lesion."""
        if not self.dataset.grouped:
            return []
        return [g for g in self.copies if len({self.dataset.examples[i].patient for i in g}) > 1]

    @property
    def found(self) -> bool:
        """Whether anything at all was found."""
        return any((self.unreadable, self.odd, self.pairs, self.cut, self.unlisted))

    def leaks(self, held_out: str) -> dict[str, list[int]]:
        """The images of a split that are seen in training too: as a copy, or as the same patient or lesion."""
        examples = self.dataset.examples
        trained = {e.patient for e in examples if e.split == "train" and e.patient is not None}
        copied = [g for g in self.copies if any(examples[i].split == "train" for i in g)]
        return {
            "copies": sorted(i for g in copied for i in g if examples[i].split == held_out),
            "patients": [i for i, e in enumerate(examples) if e.split == held_out and e.patient in trained],
        }


def inspect(dataset: Dataset, progress: Progress | None = None) -> Inspection:
    """Read every image once and look for copies, cut groups, conflicting labels and odd files.

    Time grows with the square of the number of images: about a minute for 7,000 on two cores.
    """
    prints = fingerprints(dataset, progress)
    pairs = duplicates(dataset, prints, progress)
    return Inspection(
        dataset=dataset,
        unreadable={i: p.problem for i, p in enumerate(prints) if p.problem},
        odd=oddities(prints),
        pairs=pairs,
        copies=groups(pairs, len(dataset)),
        cut=cut_groups(dataset),
        unlisted=unlisted(dataset),
    )


def class_counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Images of each class (for findings: images that show it) in each split; "all" where there is none."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for example in dataset.examples:
        counts[example.split or "all"].update(_present(dataset, example))
    return {split: {name: counts[split][name] for name in dataset.classes} for split in (*dataset.splits, "all") if split in counts}


def label_words(dataset: Dataset, example: Example) -> str:
    """The label as a person writes it: the class, or the findings joined by +."""
    return "+".join(_present(dataset, example)) or "no finding"


def _present(dataset: Dataset, example: Example) -> list[str]:
    if isinstance(example.label, tuple):
        return [name if value else f"{name}?" for name, value in zip(dataset.classes, example.label, strict=True) if isnan(value) or value]
    return [dataset.classes[example.label]]
