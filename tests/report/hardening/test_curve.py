"""The curve of a training: every number in the table, the picture drawn for whatever the epochs hold."""

import csv
import io

import pytest
from PIL import Image
from trainings import make_training

from robustdx.report.hardening.curve import picture, table
from robustdx.report.hardening.hardened import read

EVENTS = [{"epoch": 2, "monitor": "catastrophic_overfitting", "seen": "FGSM 0.9, PGD 0.0", "done": "rolled back"}]


def pixels(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


def test_every_number_of_every_epoch_stands_in_the_table(tmp_path):
    rows = list(csv.DictReader(io.StringIO(table(read(make_training(tmp_path / "run", events=EVENTS))))))
    assert [r["epoch"] for r in rows] == ["1", "2", "3"]
    assert [r["chosen"] for r in rows] == ["0", "0", "1"]
    assert rows[0] | {"size": "16x16", "objective": "standard", "loss": "1.0", "seconds": "1.5"} == rows[0]
    assert rows[1]["events"] == "catastrophic overfitting: FGSM 0.9, PGD 0.0; rolled back"
    assert rows[2]["robust_accuracy"] == "0.30000000000000004"


def test_the_picture_is_the_same_for_the_same_run_and_another_for_another(tmp_path):
    h = read(make_training(tmp_path / "run"))
    assert picture(h) == picture(h)
    marked = read(make_training(tmp_path / "marked", events=EVENTS))
    assert picture(marked) != picture(h)
    assert pixels(picture(h)).width == 1200


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "ordinal"])
def test_it_is_drawn_for_every_task_judged_or_not(kind, tmp_path):
    assert pixels(picture(read(make_training(tmp_path / "run", kind, judged=False)))).height > 600


def test_many_events_and_strange_ones_are_drawn(tmp_path):
    events = [*(EVENTS * 9), {"epoch": 3}, {"name": "no epoch: not drawn"}]
    h = read(make_training(tmp_path / "run", events=events))
    assert len(h.events) == 10
    assert pixels(picture(h)).width == 1200
