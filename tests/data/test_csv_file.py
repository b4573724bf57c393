"""Tables of images: what they may look like, and every slip named."""

from math import isnan

import pytest

from robustdx.data import load_dataset
from robustdx.data.split import cut_groups
from robustdx.errors import DataError


@pytest.fixture
def table(tmp_path, picture):
    """Write a table beside the images 1.png, 2.png, 3.png, and give its source."""
    for number in "123":
        picture(f"{number}.png")

    def write(text: str, options: str = "") -> str:
        (tmp_path / "table.csv").write_text(text)
        return f"csv:{tmp_path / 'table.csv'}{options}"

    return write


def test_words_are_classes_in_alphabetical_order(table) -> None:
    data = load_dataset(table("image,label,age\n1.png,sick,40\n2.png,well,\n3.png,sick,50\n"))
    assert (data.kind, data.classes, [e.label for e in data.examples]) == ("binary", ("sick", "well"), [0, 1, 0])
    assert [dict(e.attributes) for e in data.examples] == [{"age": "40"}, {}, {"age": "50"}]


def test_numbers_are_classes_in_order_of_number(table) -> None:
    data = load_dataset(table("image,label\n1.png,10\n2.png,9\n3.png,0.0\n"))
    assert (data.kind, data.classes, [e.label for e in data.examples]) == ("multiclass", ("0", "9", "10"), [2, 1, 0])


def test_columns_of_zero_and_one_are_findings_and_blanks_are_not_annotated(table) -> None:
    data = load_dataset(table("image,patient,site,Edema,Mass\n1.png,P1,A,0,1\n2.png,P1,B,,1\n3.png,P2,A,1.0,0\n"))
    assert (data.kind, data.classes) == ("multilabel", ("Edema", "Mass"))
    assert data.examples[0].label == (0.0, 1.0)
    assert isnan(data.examples[1].label[0])
    assert [e.patient for e in data.examples] == ["P1", "P1", "P2"]
    assert data.examples[1].attributes == {"site": "B"}


def test_findings_may_be_named(table) -> None:
    data = load_dataset(table("image,smoker,Edema,Mass\n1.png,1,0,1\n2.png,0,1,1\n3.png,1,1,0\n", ",findings=Mass+Edema"))
    assert (data.classes, data.examples[0].label) == (("Mass", "Edema"), (1.0, 0.0))
    assert data.examples[0].attributes == {"smoker": "1"}


def test_columns_may_have_other_names_and_names_no_ending(tmp_path, picture) -> None:
    picture("photos/x1.jpg"), picture("photos/x2.jpg")
    (tmp_path / "t.csv").write_text("id_code;grade;who;part\nx1;0;A;training\nx2;1;B;TEST\n")
    data = load_dataset(f"csv:{tmp_path / 't.csv'},images=photos,image=id_code,label=grade,patient=who,split=part")
    assert [(e.id, e.patient, e.split) for e in data.examples] == [("x1", "A", "train"), ("x2", "B", "test")]
    assert data.read(data.examples[0], None, 1).shape == (6, 8, 1)


def test_images_are_found_in_a_folder_beside_the_table(tmp_path, picture) -> None:
    picture("images/1.png", shade=5), picture("masks/1.png", shade=255), picture("images/2.png")
    (tmp_path / "t.csv").write_text("image,label\n1.png,a\n2.png,b\n")
    data = load_dataset(f"csv:{tmp_path / 't.csv'}")
    assert (data.read(data.examples[0], None, 1) == 5).all()


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("image,class\n1.png,a\n", "", r"expected a column label or at least two columns of 0 and 1, got none.*label=COLUMN"),
        ("file,label\n1.png,a\n", "", "expected a column 'image', got file, label"),
        ("image,label\n1.png,a\n2.png,b\n", ",patient=mrn", "expected a column 'mrn', got image, label"),
        ("image,label\n1.png,a\n9.png,b\n", "", r"found none in .* for 1 such as '9.png' \(row 3\)"),
        ("image,label\n1.png,a\n2.png,b\n1.png,a\n", "", "expected one row for each image, got 2 for '1.png' in rows 2, 4"),
        ("image,label\n1.png,a\n1,b\n", "", "expected one row for each image, got '1.png' and '1' for 1.png"),
        ("image,label\n1.png,0\n2.png,b\n", "", "expected labels that are all words or all numbers in 'label', got 'b' in row 3"),
        ("image,label\n1.png,0.5\n2.png,1\n", "", "expected whole numbers as labels in 'label', got '0.5' in row 2"),
        ("image,label\n1.png,\n2.png,1\n", "", "expected a label in every row, got a blank in row 2"),
        ("image,label\n1.png,a\n2.png,a\n", "", "expected at least two classes, got only a"),
        ("image,patient,label\n1.png,P1,a\n2.png,,b\n", "", "expected a value in the column 'patient' of every row"),
        ("image,A,B\n1.png,1,0\n2.png,2,0\n", ",findings=A+B", "expected 0, 1 or blank in 'A', got '2' in row 3"),
        ("image,label\n1.png,a,b\n", "", "expected 2 values in every row, got 3 in row 2"),
        ("image,image\n1.png,a\n", "", "expected column names that differ"),
        ("", "", "expected a header and at least one row, got none"),
        ("image,label\n1.png,a\n2.png,b\n", ",images=scans", "expected the folder of images .*scans, which is not there"),
        ("image,label\n1.png,a\n2.png,b\n", ",classes=a+c", "expected labels among a, c, got also b"),
    ],
)
def test_every_slip_is_named(table, text, options, words) -> None:
    with pytest.raises(DataError, match=words):
        load_dataset(table(text, options))


def test_one_slip_in_a_finding_does_not_silently_drop_it(tmp_path, picture) -> None:
    for i in range(30):
        picture(f"{i}.png")
    rows = [f"{i}.png,{i % 2},{'?' if i == 7 else 0}" for i in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["image,Edema,Mass", *rows]))
    with pytest.raises(DataError, match=r"expected 0, 1 or blank in 'Mass', got '\?' among them"):
        load_dataset(f"csv:{tmp_path / 't.csv'}")


def test_what_is_no_text_is_refused(tmp_path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match="expected a table as UTF-8 text"):
        load_dataset(f"csv:{tmp_path / 't.csv'}")


def test_the_chest_x_ray_set_is_multi_label(real_data) -> None:
    data = load_dataset(f"csv:{real_data / 'cxr14_multilabel_64' / 'multilabel.csv'},split=repo_split")
    assert (len(data), data.kind, len(data.classes), data.grouped) == (813, "multilabel", 14, True)
    assert sum(e.label[data.classes.index("Effusion")] for e in data.examples) == 150
    assert len(cut_groups(data)) == 24


def test_the_fundus_set_is_found_by_name_without_ending(real_data) -> None:
    data = load_dataset(f"csv:{real_data / 'fundus_dr_grading_480' / 'train.csv'},image=id_code,label=diagnosis")
    assert (len(data), data.classes) == (400, ("0", "1", "2", "3", "4"))
    assert data.read(data.examples[0], (32, 48), 3).shape == (32, 48, 3)
