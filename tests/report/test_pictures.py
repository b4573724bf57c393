"""Pictures are lossless, the difference is exact and says its factor, and they never fill the page."""

import base64
import doctest
import io
import json

import numpy as np
import pytest
from fabricated import make_run
from PIL import Image

from robustdx.report import pictures
from robustdx.report.findings import read


def decoded(uri):
    kind, _, body = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


@pytest.fixture(scope="module")
def shown(run):
    return pictures.examples(run, read(run))


def test_a_picture_in_the_page_has_the_pixels_of_the_run(run, shown):
    assert np.array_equal(decoded(shown[0].clean), np.asarray(Image.open(run / "pictures" / "pgd-linf-2-test" / "00-clean.png")))
    assert np.array_equal(decoded(shown[0].saved), np.asarray(Image.open(run / "pictures" / "pgd-linf-2-test" / "00-saved.png")))


def test_the_change_is_stretched_about_grey(shown):
    first = shown[0]
    difference = decoded(first.saved).astype(int) - decoded(first.clean)
    assert first.largest == np.abs(difference).max() == 2
    assert first.factor == 63.5
    assert np.abs(decoded(first.change) - (128 + 63.5 * difference)).max() <= 0.5


def test_no_change_is_grey():
    same = np.full((2, 2, 3), 7, np.uint8)
    change, factor, largest = pictures.amplified(same, same)
    assert (change == 128).all()
    assert (factor, largest) == (1.0, 0)


def test_what_cannot_be_seen_comes_first_and_no_image_twice(shown):
    assert shown[0].budget == "L∞ 2/255"
    assert len({e.id for e in shown}) == len(shown) <= pictures.MOST


def test_answers_come_with_their_probability(run, shown):
    entry = json.loads((run / "pictures" / "pgd-linf-2-test" / "index.json").read_text())[0]
    name = read(run).classes[entry["after"][0]]
    assert shown[0].after == f"{name}, {100 * entry['p_after'][entry['after'][0]]:.0f}\N{NO-BREAK SPACE}%"


def test_findings_are_named(tmp_path):
    folder = make_run(tmp_path / "run", kind="multilabel", classes=("A", "B"), shares=(1, 1), images=60, budgets={"linf": (2 / 255,)})
    assert {e.truth for e in pictures.examples(folder, read(folder))} <= {"A", "B"}


def test_pictures_leave_room_for_the_page(run, monkeypatch):
    monkeypatch.setattr(pictures, "LETTERS", 150_000)
    kept = pictures.examples(run, read(run))
    assert sum(e.letters for e in kept) <= 150_000
    assert kept


def test_a_large_image_is_shown_smaller():
    assert decoded(pictures.data_uri(np.zeros((800, 400, 3), np.uint8))).shape == (320, 160, 3)


def test_a_run_without_pictures_has_none(tmp_path):
    folder = make_run(tmp_path / "run", images=30, attacks=("fgsm",))
    assert pictures.examples(folder, read(folder)) == []


def test_doctests():
    assert doctest.testmod(pictures).failed == 0
