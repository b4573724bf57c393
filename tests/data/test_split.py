"""Splits that never cut a patient, and quick looks of whole patients."""

from collections import Counter
from dataclasses import replace

import pytest

from robustdx.data.protocol import Dataset, Example
from robustdx.data.split import cut_groups, split_name, subset, with_splits
from robustdx.errors import DataError


def made(patients: int, photos: int = 1, classes: int = 2, split: str | None = None) -> Dataset:
    """So many patients with so many photos each, classes in turn."""
    examples = [Example(id=f"i{p}-{k}", label=p % classes, patient=f"p{p}", split=split) for p in range(patients) for k in range(photos)]
    return Dataset("made", tuple(map(str, range(classes))), "multiclass", examples, None)  # type: ignore[arg-type]


def shares(data: Dataset) -> dict[str, float]:
    return {s: len(data.only(s)) / len(data) for s in data.splits}


def test_seventy_fifteen_fifteen() -> None:
    assert shares(with_splits(made(200))) == {"train": 0.7, "val": 0.15, "test": 0.15}


def test_every_class_has_its_share() -> None:
    data = with_splits(made(300, classes=3))
    counts = Counter((e.split, e.label) for e in data.examples)
    assert all(69 <= counts["train", c] <= 71 for c in range(3))
    assert all(14 <= counts["test", c] <= 16 for c in range(3))


def test_a_patient_is_never_cut() -> None:
    data = with_splits(made(50, photos=4))
    assert cut_groups(data) == {}
    assert data.splits == ("train", "val", "test")


def test_a_few_patients_already_give_all_three() -> None:
    assert with_splits(made(6)).splits == ("train", "val", "test")


def test_the_order_of_the_images_does_not_matter_and_the_seed_does() -> None:
    data = made(100, photos=2)
    where = {e.id: e.split for e in with_splits(data).examples}
    turned = replace(data, examples=list(reversed(data.examples)))
    assert {e.id: e.split for e in with_splits(turned).examples} == where
    assert {e.id: e.split for e in with_splits(data, seed=1).examples} != where


def test_images_without_patients_are_dealt_one_by_one() -> None:
    data = made(40)
    alone = replace(data, examples=[replace(e, patient=None) for e in data.examples])
    assert shares(with_splits(alone)) == {"train": 0.7, "val": 0.15, "test": 0.15}


def test_a_missing_val_is_cut_out_of_train_alone() -> None:
    train, test = made(100, photos=2, split="train"), made(10, split="test")
    moved = [replace(e, id=f"t{e.id}", patient=f"t{e.patient}") for e in test.examples]
    data = with_splits(replace(train, examples=[*train.examples, *moved]))
    assert {s: len(data.only(s)) for s in data.splits} == {"train": 170, "val": 30, "test": 10}
    assert cut_groups(data) == {}
    assert all(e.id.startswith("t") for e in data.only("test").examples)


def test_splits_of_its_own_are_kept() -> None:
    data = replace(made(3), examples=[replace(e, split=s) for e, s in zip(made(3).examples, ("train", "val", "test"), strict=True)])
    assert with_splits(data) is data


def test_a_group_that_a_split_cuts_is_listed() -> None:
    examples = [
        Example(id=str(i), label=0, patient=p, split=s)
        for i, (p, s) in enumerate([("a", "train"), ("a", "test"), ("b", "val"), ("b", "val")])
    ]
    assert cut_groups(replace(made(1), examples=examples)) == {"a": ("test", "train")}


def test_half_a_split_is_refused() -> None:
    data = made(4)
    half = replace(data, examples=[replace(e, split="train") if i else e for i, e in enumerate(data.examples)])
    with pytest.raises(DataError, match="expected a split for every image or for none, got none for 1 such as 'i0-0'"):
        with_splits(half)


@pytest.mark.parametrize(("word", "split"), [("Training", "train"), ("VALID", "val"), ("Test_v2", "test"), ("fold1", None)])
def test_words_for_splits(word, split) -> None:
    assert split_name(word) == split


def test_a_quick_look_takes_whole_patients_until_there_are_enough() -> None:
    data = made(50, photos=3)
    few = subset(data, 20)
    assert len(few) == 21
    assert set(Counter(e.patient for e in few.examples).values()) == {3}
    assert [e.id for e in few.examples] == [e.id for e in data.examples if e in few.examples]


def test_a_quick_look_has_every_class_when_it_can() -> None:
    data = made(500, classes=2)
    rare = [*data.examples, Example(id="rare", label=2, patient="rare")]
    assert {e.label for e in subset(replace(data, examples=rare), 3).examples} == {0, 1, 2}


def test_a_quick_look_is_the_same_every_time_and_other_for_another_seed() -> None:
    data = made(100)
    ids = [e.id for e in subset(data, 10, seed=3).examples]
    assert ids == [e.id for e in subset(replace(data, examples=list(reversed(data.examples))), 10, seed=3).examples][::-1]
    assert ids != [e.id for e in subset(data, 10, seed=4).examples]


def test_a_larger_quick_look_holds_the_smaller_one_and_no_more_than_there_is() -> None:
    data = made(30, photos=2)
    small, large = subset(data, 10), subset(data, 30)
    assert {e.id for e in small.examples} < {e.id for e in large.examples}
    assert len(subset(data, 1000)) == 60
    with pytest.raises(DataError, match="at least 1 image"):
        subset(data, 0)
