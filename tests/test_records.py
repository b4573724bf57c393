"""A record says what happened to one image, and comes back from the disk as it was."""

import json
import math

import pyarrow as pa
import pytest

from robustdx.errors import RunError
from robustdx.records import SCHEMA, Cell, called, dump_cell, parse_cell, read_table, table, write_table

ROW = {
    "id": "benign/P01.png",
    "patient": "P01",
    "label": [1.0],
    "clean_scores": [0.25, 0.75],
    "clean_decision": [1],
    "searched_scores": [0.5, 0.5],
    "searched_decision": [0],
    "saved_scores": [0.75, 0.25],
    "saved_decision": [0],
    **dict.fromkeys(("clean_goal", "searched_goal", "saved_goal"), None),
    "searched_distance": 0.03137254901960784,
    "saved_distance": 0.03137254901960784,
    "forwards": 41,
    "backwards": 40,
    "member": None,
}


def cell(**changes) -> Cell:
    words = {"attack": "pgd", "threat": "linf", "eps": 8 / 255, "split": "test", "settings": {"name": "pgd", "steps": 40}}
    return Cell(**({**words, "early_stop": True, "verdict": "saved"} | changes))


def test_rows_come_back_as_they_were(tmp_path):
    write_table(table([ROW]), tmp_path / "r.parquet")
    assert read_table(tmp_path / "r.parquet").to_pylist() == [ROW]


def test_a_patient_may_be_unknown_and_a_finding_not_annotated(tmp_path):
    write_table(table([{**ROW, "patient": None, "label": [1.0, math.nan, 0.0]}]), tmp_path / "r.parquet")
    (row,) = read_table(tmp_path / "r.parquet").to_pylist()
    assert row["patient"] is None
    assert row["label"][0] == 1
    assert math.isnan(row["label"][1])


def test_distances_keep_all_their_digits(tmp_path):
    """8/255 in float32 is not 8/255."""
    write_table(table([{**ROW, "saved_distance": 8 / 255}]), tmp_path / "r.parquet")
    assert read_table(tmp_path / "r.parquet")["saved_distance"].to_pylist() == [8 / 255]


def test_the_same_rows_give_the_same_bytes(tmp_path):
    for name in "ab":
        write_table(table([ROW, {**ROW, "id": "x"}]), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_columns_are_those_of_the_schema():
    assert table([ROW]).schema == SCHEMA
    assert table([]).schema == SCHEMA
    assert set(ROW) == set(SCHEMA.names)


def test_a_value_of_another_type_is_no_record():
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        table([{**ROW, "forwards": "many"}])


def test_the_member_of_a_cascade_that_broke_an_image_stands_in_its_row(tmp_path):
    write_table(table([{**ROW, "member": "apgd"}, ROW]), tmp_path / "r.parquet")
    assert read_table(tmp_path / "r.parquet")["member"].to_pylist() == ["apgd", None]


def test_members_of_one_name_are_told_apart_by_their_settings():
    members = [{"name": "apgd", "loss": "ce"}, {"name": "apgd", "loss": "dlr"}, {"name": "fab"}, {"name": "fab"}]
    assert called(members) == ["apgd", "apgd, loss=dlr", "fab", "fab (4)"]


@pytest.mark.parametrize("spoil", [lambda b: b[:-20], lambda b: b"hello", lambda b: b""])
def test_a_damaged_file_is_named(spoil, tmp_path):
    path = tmp_path / "r.parquet"
    write_table(table([ROW]), path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(RunError, match=r"r\.parquet is damaged"):
        read_table(path)


def test_a_cell_comes_back_as_it_was():
    for one in (cell(), cell(images=100)):
        assert parse_cell(dump_cell(one)) == one


def test_a_cell_from_before_attacks_could_be_shown_some_of_the_images_is_read():
    words = json.loads(dump_cell(cell()))
    del words["images"]
    assert parse_cell(json.dumps(words)) == cell()


@pytest.mark.parametrize("name", ["../../elsewhere", "a/b", "..", "C:\\x", "\0"])
def test_a_key_is_one_part_of_a_path_whatever_names_it_holds(name):
    for key in (cell(attack=name).key, cell(split=name).key, cell(attack="clean", split=name).key):
        assert not {"/", "\\", ":", "\0"} & set(key)
        assert len(key) > 5


def test_keys_are_readable_and_differ():
    """Folders of cells: eps as people write it, in 255ths under Linf."""
    assert cell().key == "pgd-linf-8-test"
    assert cell(eps=0.5 / 255).key == "pgd-linf-0.5-test"
    assert cell(attack="clean", threat="", eps=0.0).key == "clean-test"
    eps = [k / 255 / 4 for k in range(1, 40)]
    assert len({cell(eps=e, split=s, attack=a).key for e in eps for s in ("val", "test") for a in ("pgd", "bim")}) == 39 * 4
    assert len({cell(threat=t, eps=e).key for t in ("linf", "l2") for e in (0.1, 0.25, 0.5, 1.0, 2.0)}) == 10
