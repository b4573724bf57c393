"""A run on disk: whole or not there, and of one plan."""

import errno
import json
import os
from pathlib import Path

import pytest

from robustdx.errors import RunError
from robustdx.records import Cell, table
from robustdx.store import Store, refusing_disk_errors, replace_with

PLAN = {"data": "synthetic", "eps": [1 / 255, 8 / 255], "model": {"source": "cnn"}}
CELL = Cell("pgd", "linf", 8 / 255, "test", {"name": "pgd"}, early_stop=True, verdict="saved")


def rows(*ids: str):
    forms = {
        f"{form}_{what}": value for form in ("clean", "searched", "saved") for what, value in (("scores", [0.5, 0.5]), ("decision", [1]))
    }
    numbers = {"searched_distance": 0.1, "saved_distance": 0.1, "forwards": 2, "backwards": 1}
    return table([{"id": i, "patient": None, "label": [1.0], **forms, **numbers} for i in ids])


@pytest.fixture
def store(tmp_path) -> Store:
    return Store.open(tmp_path / "run", PLAN)


def ids(store: Store, cell: Cell = CELL) -> list[str]:
    return store.records(cell)["id"].to_pylist()


# --- one folder, one plan --------------------------------------------------------------------------------------------


def test_opening_makes_the_folder_and_opening_again_goes_on(tmp_path):
    first = Store.open(tmp_path / "deep" / "run", PLAN)
    first.write_text("note.txt", "kept")
    assert Store.open(tmp_path / "deep" / "run", PLAN).read_json("plan.json") == PLAN
    assert (first.path / "note.txt").read_text() == "kept"


def test_a_plan_is_the_same_whatever_the_order_of_its_keys(store):
    assert store.belongs_to(dict(reversed(PLAN.items())))
    assert store.belongs_to(PLAN | {"eps": (1 / 255, 8 / 255)})
    assert not store.belongs_to(PLAN | {"data": "folder:x"})
    assert not store.belongs_to({"data": "synthetic"})


def test_another_plan_is_refused_with_what_differs(store):
    with pytest.raises(RunError, match=r'another plan \(data was "synthetic", now "folder:x"; seed was null, now 1\): give another --out'):
        Store.open(store.path, PLAN | {"data": "folder:x", "seed": 1})
    assert store.read_json("plan.json") == PLAN


def test_asking_writes_nothing(tmp_path):
    Store(tmp_path / "run").require(PLAN)
    assert not Store(tmp_path / "run").belongs_to(PLAN)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["{", "[1]", "\xff\xfe"])
def test_a_plan_that_cannot_be_read_is_refused(store, text):
    store.plan_file.write_text(text, encoding="latin-1")
    with pytest.raises(RunError, match=r"expected the plan of a run in .*plan\.json"):
        Store.open(store.path, PLAN)


def test_a_folder_with_something_else_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunError, match="expected a new or empty folder, or a run of robustdx"):
        Store.open(tmp_path, PLAN)
    with pytest.raises(RunError, match="expected a new or empty folder"):
        Store.open(tmp_path / "thesis.tex", PLAN)


def test_what_a_dead_process_left_half_written_is_no_obstacle(tmp_path):
    (tmp_path / "plan.json.part").write_text("{")
    assert Store.open(tmp_path, PLAN).belongs_to(PLAN)


# --- cells -----------------------------------------------------------------------------------------------------------


def test_a_cell_is_whole_once_it_is_finished(store):
    assert store.parts(CELL) == 0
    store.add_part(CELL, 0, rows("a", "b"), 1.5)
    store.add_part(CELL, 1, rows("c"), 0.25)
    assert store.parts(CELL) == 2
    assert not store.has(CELL)
    assert list(store.cells()) == []
    store.finish(CELL, 2)
    assert store.has(CELL)
    assert ids(store) == ["a", "b", "c"]
    assert store.parts(CELL) == 0
    assert [(cell, records["id"].to_pylist()) for cell, records in store.cells()] == [(CELL, ["a", "b", "c"])]


def test_seconds_add_up_and_stand_apart_from_the_records(store):
    store.add_part(CELL, 0, rows("a"), 1.5)
    store.add_part(CELL, 1, rows("b"), 0.25)
    assert store.seconds(CELL) == 1.75
    store.add_part(CELL, 0, rows("a"), 1.0)  # begun anew
    assert store.seconds(CELL) == 1.0
    assert store.seconds(Cell("fgsm", "linf", 1 / 255, "test", {}, False, "saved")) == 0


def test_the_same_records_give_the_same_bytes(tmp_path):
    content = []
    for name, seconds in (("one", 1.0), ("two", 2.0)):
        made = Store.open(tmp_path / name, PLAN)
        for n, part in enumerate([rows("a", "b"), rows("c")]):
            made.add_part(CELL, n, part, seconds)
        made.finish(CELL, 2)
        content.append((made.path / "cells" / CELL.key / "records.parquet").read_bytes())
    assert content[0] == content[1]


def test_a_relative_folder_is_relative_to_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store.open(Path("run"), PLAN)
    store.add_part(CELL, 0, rows("a"), 1.0)
    store.finish(CELL, 1)
    assert ids(Store(tmp_path / "run")) == ["a"]
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"plan.json", "cells"}


def test_the_manifest_comes_last_and_sweeps_up(store):
    store.add_part(CELL, 0, rows("a"), 1.0)
    store.finish(CELL, 1)
    (store.path / "cells" / CELL.key / "part-0000.parquet").write_text("of a process that died between two steps")
    (store.path / "results.json.part").write_text("{")
    assert not store.whole
    store.finish_run()
    assert store.whole
    assert store.read_json("manifest.json") == {"schema": 1, "cells": [CELL.key]}
    assert sorted(p.name for p in store.path.rglob("*") if p.is_file()) == [
        "cell.json",
        "manifest.json",
        "plan.json",
        "records.parquet",
        "times.json",
    ]


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_the_old_one_or_the_new_one(store):
    """Whatever goes wrong while it is written."""
    store.write_text("note.txt", "old")

    def fail(path: Path) -> None:
        path.write_text("half of the n")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write("note.txt", fail)
    assert (store.path / "note.txt").read_text() == "old"
    assert not list(store.path.glob("*.part"))
    store.write_bytes("note.txt", b"new")
    assert (store.path / "note.txt").read_bytes() == b"new"


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    """Otherwise a power cut could leave an empty file under the final name."""
    seen = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append((tmp_path / "a").exists()))
    replace_with(tmp_path / "a", lambda path: path.write_text("x"))
    assert seen == [False]
    assert (tmp_path / "a").read_text() == "x"


def test_json_that_is_no_json_is_refused(store):
    with pytest.raises(ValueError, match="JSON compliant"):
        store.write_json("results.json", {"accuracy": float("nan")})
    assert not (store.path / "results.json").exists()


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_in_a_sentence(store):
    with pytest.raises(
        RunError, match=r"cannot write .*note.txt: No space left on device \(\d+ MiB free\): make room or give another --out"
    ):
        store.write("note.txt", full)
    with pytest.raises(RunError, match="nowhere"), refusing_disk_errors(store.path / "nowhere" / "deep"):
        full()


def test_a_disk_that_is_full_from_the_start_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left"):
        Store.open(tmp_path / "run", PLAN)
    assert not (tmp_path / "run").exists()


def test_records_that_are_damaged_are_named(store):
    store.add_part(CELL, 0, rows("a"), 1.0)
    store.finish(CELL, 1)
    path = store.path / "cells" / CELL.key / "records.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunError, match=r"records\.parquet .* damaged"):
        list(store.cells())


def test_cell_json_is_readable(store):
    store.add_part(CELL, 0, rows("a"), 1.0)
    store.finish(CELL, 1)
    told = json.loads((store.path / "cells" / CELL.key / "cell.json").read_text())
    assert (told["attack"], told["threat"], told["settings"], told["verdict"]) == ("pgd", "linf", {"name": "pgd"}, "saved")
