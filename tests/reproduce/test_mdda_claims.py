"""The images that reproduce/mdda measures, and the settings that it tries."""

from __future__ import annotations

from collections import Counter

import numpy as np

from reproduce.mdda.chosen import drawn
from reproduce.mdda.grids import ANEW, GRIDS, ablations
from robustdx.data import Dataset, Example
from robustdx.purifiers import PURIFIERS


def lesions(counts: dict[int, int]) -> Dataset:
    """Lesions of two images each, so many of each class, and one image of another split."""
    made = [Example(f"{c} {n} {i}", c, f"{c} {n}", split="test") for c, lesions in counts.items() for n in range(lesions) for i in (0, 1)]
    other = Example("other", 0, "other", split="train")
    return Dataset("lesions", ("a", "b", "c"), "multiclass", [*made, other], lambda *_: np.zeros((1, 1, 3), np.uint8))


def test_whole_lesions_until_a_class_has_enough() -> None:
    data = lesions({0: 20, 1: 3, 2: 1})
    taken = drawn(data, "test", 5)
    assert Counter(e.label for e in data.examples if e.id in taken) == {0: 6, 1: 6, 2: 2}
    assert all(count == 2 for count in Counter(image.rsplit(" ", 1)[0] for image in taken).values())


def test_a_smaller_choice_is_part_of_a_larger_one() -> None:
    data = lesions({0: 20, 1: 9, 2: 4})
    assert drawn(data, "test", 4) < drawn(data, "test", 12)


def test_every_setting_can_be_made() -> None:
    for settings in [s for among in (GRIDS, ANEW) for grid in among.values() for s in grid]:
        PURIFIERS.parse(settings)
    tried = [settings for _, _, settings in ablations(GRIDS["mdda"][0])]
    assert all(PURIFIERS.parse(settings) for settings in tried)
    assert GRIDS["mdda"][0] not in tried
