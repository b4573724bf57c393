"""The ISIC challenges of 2017 and 2019 as published."""

from collections import Counter

import pytest

from robustdx.data import load_dataset
from robustdx.errors import DataError


@pytest.fixture
def isic2017(tmp_path, picture):
    for part, name in (("Training", "ISIC_1"), ("Training", "ISIC_2"), ("Validation", "ISIC_3"), ("Test_v2", "ISIC_4")):
        picture(f"ISIC-2017_{part}_Data/{name}.jpg")
        picture(f"ISIC-2017_{part}_Data/{name}_superpixels.png")
    head = "image_id,melanoma,seborrheic_keratosis\n"
    (tmp_path / "ISIC-2017_Training_Part3_GroundTruth.csv").write_text(head + "ISIC_1,1.0,0.0\nISIC_2,0.0,1.0\n")
    (tmp_path / "ISIC-2017_Validation_Part3_GroundTruth.csv").write_text(head + "ISIC_3,0.0,0.0\n")
    (tmp_path / "ISIC-2017_Test_v2_Part3_GroundTruth.csv").write_text(head + "ISIC_4,1.0,0.0\n")
    return tmp_path


def test_melanoma_or_not_with_the_official_split(isic2017) -> None:
    data = load_dataset(f"isic2017:{isic2017}")
    assert (data.kind, data.classes, data.grouped) == ("binary", ("benign", "melanoma"), False)
    assert [(e.id, e.label, e.split) for e in data.examples] == [
        ("ISIC_1", 1, "train"),
        ("ISIC_2", 0, "train"),
        ("ISIC_3", 0, "val"),
        ("ISIC_4", 1, "test"),
    ]


def test_three_diagnoses(isic2017) -> None:
    data = load_dataset(f"isic2017:{isic2017},labels=three")
    assert [data.classes[e.label] for e in data.examples] == ["melanoma", "seborrheic_keratosis", "nevus", "melanoma"]


def test_both_diagnoses_at_once_are_refused(isic2017) -> None:
    path = isic2017 / "ISIC-2017_Test_v2_Part3_GroundTruth.csv"
    path.write_text("image_id,melanoma,seborrheic_keratosis\nISIC_4,1.0,1.0\n")
    with pytest.raises(DataError, match="expected 0 or 1 for melanoma and seborrheic_keratosis of 'ISIC_4', at most one"):
        load_dataset(f"isic2017:{isic2017}")


def test_a_folder_without_any_part_is_named(tmp_path) -> None:
    with pytest.raises(DataError, match=r"expected ISIC-2017_Training_Part3_GroundTruth.csv in .*, found none of the three parts"):
        load_dataset(f"isic2017:{tmp_path}")


def test_the_official_totals_of_what_is_here(real_data) -> None:
    data = load_dataset(f"isic2017:{real_data / 'derm_isic2017_256'},labels=three")
    counts = Counter((e.split, data.classes[e.label]) for e in data.examples)
    assert (counts["train", "melanoma"], counts["val", "seborrheic_keratosis"], counts["test", "nevus"]) == (281, 35, 273)


@pytest.fixture
def isic2019(tmp_path, picture):
    for name in ("ISIC_1", "ISIC_2_downsampled", "ISIC_3"):
        picture(f"ISIC_2019_Training_Input/{name}.jpg")
    head = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\n"
    rows = "ISIC_1,1,0,0,0,0,0,0,0,0\nISIC_2_downsampled,0,0,0,1,0,0,0,0,0\nISIC_3,0,0,0,0,0,0,0,1,0\n"
    (tmp_path / "ISIC_2019_Training_GroundTruth.csv").write_text(head + rows)
    (tmp_path / "ISIC_2019_Training_Metadata.csv").write_text(
        "image,age_approx,anatom_site_general,lesion_id,sex\nISIC_1,55,,BCN_1,female\nISIC_2_downsampled,30,back,,male\nISIC_3,,,BCN_1,\n"
    )
    return tmp_path


def test_eight_classes_by_lesion_and_an_unknown_lesion_stands_alone(isic2019) -> None:
    data = load_dataset(f"isic2019:{isic2019}")
    assert [data.classes[e.label] for e in data.examples] == ["MEL", "AK", "SCC"]
    assert [e.patient for e in data.examples] == ["BCN_1", "ISIC_2_downsampled", "BCN_1"]
    assert (len(data.classes), data.splits) == (8, ())


def test_the_class_unknown_is_kept_only_where_it_occurs(isic2019) -> None:
    path = isic2019 / "ISIC_2019_Training_GroundTruth.csv"
    path.write_text(path.read_text().replace("ISIC_3,0,0,0,0,0,0,0,1,0", "ISIC_3,0,0,0,0,0,0,0,0,1"))
    data = load_dataset(f"isic2019:{isic2019}")
    assert (data.classes[-1], data.examples[2].label) == ("UNK", 8)
