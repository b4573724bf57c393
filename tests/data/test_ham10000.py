"""HAM10000 in both published layouts."""

from collections import Counter

import pytest

from robustdx.data import load_dataset
from robustdx.data.split import cut_groups
from robustdx.errors import DataError, PlanError

TRUTH = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nISIC_1,0.0,1.0,0.0,0.0,0.0,0.0,0.0\nISIC_2,0,0,0,1.0,0,0,0\n"
GROUPS = "image,lesion_id,diagnosis_confirm_type\nISIC_1,HAM_1,histo\nISIC_2,HAM_2,histo\n"


@pytest.fixture
def challenge(tmp_path, picture):
    """The layout of the ISIC 2018 challenge, two images."""
    for name in ("ISIC_1", "ISIC_2"):
        picture(f"ISIC2018_Task3_Training_Input/{name}.jpg")
    (tmp_path / "ISIC2018_Task3_Training_GroundTruth.csv").write_text(TRUTH)
    (tmp_path / "ISIC2018_Task3_Training_LesionGroupings.csv").write_text(GROUPS)
    return tmp_path


def test_the_challenge_layout(challenge) -> None:
    data = load_dataset(f"ham10000:{challenge}")
    assert data.classes == ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
    assert [(e.id, e.label, e.patient, e.split) for e in data.examples] == [("ISIC_1", 1, "HAM_1", None), ("ISIC_2", 3, "HAM_2", None)]


def test_the_dataverse_layout(tmp_path, picture) -> None:
    picture("HAM10000_images_part_1/ISIC_1.jpg"), picture("HAM10000_images_part_2/ISIC_2.jpg")
    (tmp_path / "HAM10000_metadata.csv").write_text(
        "lesion_id,image_id,dx,dx_type,age,sex,localization\nH1,ISIC_1,nv,histo,45,male,back\nH2,ISIC_2,vasc,histo,,female,face\n"
    )
    data = load_dataset(f"ham10000:{tmp_path}")
    assert [(e.label, e.patient) for e in data.examples] == [(1, "H1"), (6, "H2")]
    assert data.examples[1].attributes == {"dx_type": "histo", "sex": "female", "localization": "face"}


def test_eight_classes_come_from_the_2019_table(challenge) -> None:
    table = challenge / "ISIC_2019_Training_GroundTruth.csv"
    table.write_text(
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\nISIC_1,0,1,0,0,0,0,0,0,0\nISIC_2,0,0,0,0,0,0,0,1,0\nISIC_9,1,0,0,0,0,0,0,0,0\n"
    )
    data = load_dataset(f"ham10000:{challenge},labels=isic2019")
    assert [data.classes[e.label] for e in data.examples] == ["NV", "SCC"]


def test_a_split_comes_from_a_table_in_the_folder(challenge) -> None:
    (challenge / "mine.csv").write_text("image,split\nISIC_2,validation\nISIC_1,Train\nISIC_7,test\n")
    assert [e.split for e in load_dataset(f"ham10000:{challenge},split=mine.csv").examples] == ["train", "val"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("split.csv", "image,split\nISIC_1,train\n", "expected a split for every image, got none for 1 such as 'ISIC_2'"),
        ("split.csv", "image,part\nISIC_1,train\n", "expected a column 'split', got image, part"),
        (
            "split.csv",
            "image,split\nISIC_1,train\nISIC_1,test\n",
            "expected one row for each image, got a second one for 'ISIC_1' in line 3",
        ),
        ("ISIC2018_Task3_Training_GroundTruth.csv", TRUTH.replace("1.0", "0.0", 1), "expected exactly one 1 among .* for 'ISIC_1'"),
        ("ISIC2018_Task3_Training_GroundTruth.csv", TRUTH.replace("1.0", "yes", 1), "expected numbers in .* for 'ISIC_1'"),
        (
            "ISIC2018_Task3_Training_GroundTruth.csv",
            TRUTH.replace("ISIC_2", "ISIC_3"),
            "expected the lesion of every image, got none for 'ISIC_3'",
        ),
        ("ISIC2018_Task3_Training_LesionGroupings.csv", GROUPS.replace("lesion_id", "lesion"), "expected a column 'lesion_id'"),
    ],
)
def test_every_slip_is_named(challenge, name, text, words) -> None:
    (challenge / "split.csv").write_text("image,split\nISIC_1,train\nISIC_2,test\n")
    (challenge / name).write_text(text)
    with pytest.raises(DataError, match=words):
        load_dataset(f"ham10000:{challenge},split=split.csv")


def test_an_image_that_a_table_names_must_be_there(challenge) -> None:
    (challenge / "ISIC2018_Task3_Training_Input" / "ISIC_2.jpg").unlink()
    with pytest.raises(DataError, match="expected an image ISIC_2, which a table names"):
        load_dataset(f"ham10000:{challenge}")


def test_other_labels_do_not_exist(challenge) -> None:
    with pytest.raises(PlanError, match="labels: expected one of isic2018, isic2019, got 'isic2020'"):
        load_dataset(f"ham10000:{challenge},labels=isic2020")


def test_the_real_set_and_its_leaky_split(real_data) -> None:
    source = f"ham10000:{real_data / 'derm_ham10000_200x150'}"
    clean = load_dataset(f"{source},split=split_by_lesion.csv")
    counts = Counter(clean.classes[e.label] for e in clean.examples)
    assert (counts["NV"], counts["MEL"], counts["AKIEC"]) == (4733, 743, 222)
    assert [len(clean.only(s)) for s in clean.splits] == [4872, 693, 1378]
    assert len({e.patient for e in clean.examples}) == 5197
    assert cut_groups(clean) == {}
    leaky = load_dataset(f"{source},split=split_naive_by_image_LEAKY.csv,labels=isic2019")
    cut = cut_groups(leaky)
    assert len(cut) == 680
    assert sum("train" in cut.get(e.patient, ()) for e in leaky.only("test").examples) == 483
    assert Counter(leaky.classes[e.label] for e in leaky.examples)["SCC"] == 130
