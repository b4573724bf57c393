"""Class folders, with and without splits and patients."""

import pytest

from robustdx.data import load_dataset
from robustdx.errors import DataError, PlanError


def test_class_folders_in_alphabetical_order_are_the_outputs(tmp_path, picture) -> None:
    for name in ("melanoma/b.png", "benign/a.jpg", "benign/deeper/c.png"):
        picture(name)
    data = load_dataset(f"folder:{tmp_path}")
    assert (data.kind, data.classes, data.splits) == ("binary", ("benign", "melanoma"), ())
    assert [(e.id, e.label) for e in data.examples] == [("benign/a.jpg", 0), ("benign/deeper/c.png", 0), ("melanoma/b.png", 1)]


def test_pixels_come_from_the_file(tmp_path, picture) -> None:
    picture("a/1.png", shade=7), picture("b/2.png", shade=9)
    data = load_dataset(f"folder:{tmp_path}")
    assert data.read(data.examples[1], (3, 4), 3).shape == (3, 4, 3)
    assert (data.read(data.examples[1], None, 1) == 9).all()


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "validation", "Testing"), ("TRAIN", "valid", "test")])
def test_folders_above_the_classes_are_splits(tmp_path, picture, names) -> None:
    for split in names:
        for c in "xyz":
            picture(f"{split}/{c}/{split}.png")
    data = load_dataset(f"folder:{tmp_path}")
    assert (data.splits, data.kind) == (("train", "val", "test"), "multiclass")
    assert [len(data.only(s)) for s in data.splits] == [3, 3, 3]


def test_one_folder_around_the_splits_is_no_class(tmp_path, picture) -> None:
    for name in ("chest/train/sick/1.png", "chest/train/well/2.png", "chest/test/sick/3.png", "chest/test/well/4.png"):
        picture(name)
    assert load_dataset(f"folder:{tmp_path}").splits == ("train", "test")


def test_the_patient_is_read_from_the_name(tmp_path, picture) -> None:
    for name in ("a/P1_left.png", "a/P1_right.png", "b/P2_left.png"):
        picture(name)
    data = load_dataset(rf"folder:{tmp_path},patient=(P\d+)_")
    assert [e.patient for e in data.examples] == ["P1", "P1", "P2"]
    assert data.grouped


def test_a_pattern_may_hold_commas_and_look_at_folders_below_the_class(tmp_path, picture) -> None:
    picture("a/P01/1.png"), picture("b/P02/1.png")
    assert [e.patient for e in load_dataset(rf"folder:{tmp_path},patient=P\d{{1,3}}").examples] == ["P01", "P02"]


def test_a_path_may_hold_commas_and_spaces(tmp_path, picture) -> None:
    picture("my scans, all/a/1.png"), picture("my scans, all/b/1.png")
    assert load_dataset(f"folder:{tmp_path / 'my scans, all'}").name == "my scans, all"


def test_classes_may_be_put_in_the_order_of_the_models_outputs(tmp_path, picture) -> None:
    picture("COVID/1.png"), picture("Non/2.png")
    data = load_dataset(f"folder:{tmp_path},classes=Non+COVID")
    assert data.classes == ("Non", "COVID")
    assert [e.label for e in data.examples] == [1, 0]


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ([], "", "expected at least two class folders with images, got none"),
        (["a/1.png"], "", "expected at least two class folders with images, got a"),
        (["a/1.png", "b/notes.txt"], "", "/b: expected images of this class, found none"),
        (["train/a/1.png", "train/b/1.png", "masks/m.png"], "", "expected only train, val and test beside one another, got also masks"),
        (["val/a/1.png", "valid/a/1.png"], "", "expected one folder for each split"),
        (["a/1.png", "b/2.png"], r",patient=P(\d)", r"expected 'P\(\\\\d\)' to find the patient in every name, got nothing in '1.png'"),
        (["a/1.png", "b/2.png"], ",classes=a+c", "expected class folders a, c, got a, b"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, picture, files, options, words) -> None:
    for name in files:
        if name.endswith(".txt"):
            (tmp_path / name).parent.mkdir()
            (tmp_path / name).write_text("nothing to see")
        else:
            picture(name)
    with pytest.raises(DataError, match=words):
        load_dataset(f"folder:{tmp_path}{options}")


def test_a_broken_pattern_and_a_missing_folder_are_named(tmp_path, picture) -> None:
    picture("a/1.png"), picture("b/2.png")
    with pytest.raises(PlanError, match=r"patient: expected a regular expression, got '\('"):
        load_dataset(f"folder:{tmp_path},patient=(")
    with pytest.raises(DataError, match=r"expected the folder .*nowhere, which is not there"):
        load_dataset(f"folder:{tmp_path / 'nowhere'}")


def test_the_noisy_isic9_set_loads_with_its_own_splits(real_data) -> None:
    data = load_dataset(f"folder:{real_data / 'derm_isic9_kaggle_180'}")
    assert (len(data), len(data.classes), data.splits) == (773, 9, ("train", "test"))
