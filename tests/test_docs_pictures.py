"""docs/perturbations.md shows everything in the catalogues, with the words of the code and a picture of each."""

import re
from pathlib import Path

import pytest
from PIL import Image

from docs.make_pictures import FRAMES, GAP, PAGE, PICTURES, SIDE, page, perturbations, sequences
from robustdx.perturbations import PERTURBATIONS, SEQUENCES, SEVERITIES

WIDE = {"perturbation": 1 + len(SEVERITIES), "sequence": len(FRAMES)}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs-pictures`"


def test_the_page_names_every_method_once() -> None:
    assert sorted(re.findall(r"^`(\w+)`: ", page(), re.MULTILINE)) == sorted((*PERTURBATIONS.own, *SEQUENCES.own))


@pytest.mark.parametrize("kind", WIDE)
def test_each_has_a_picture(kind: str) -> None:
    entries = perturbations() if kind == "perturbation" else sequences()
    assert entries
    for entry in entries:
        with Image.open(entry.picture) as picture:
            assert picture.size == (WIDE[kind] * (SIDE + GAP) - GAP, SIDE), entry.name
        assert len(entry.first_line) > 20, f"{entry.name} says nothing"


def test_no_picture_is_left_over_and_all_are_small() -> None:
    found = set(PICTURES.iterdir())
    assert found == {entry.picture for entry in (*perturbations(), *sequences())}
    assert sum(file.stat().st_size for file in found) < 1_500_000


def test_links_of_the_page_lead_somewhere() -> None:
    for name in ("perturbations.md", "natural-perturbations.md"):
        text = (PAGE.parent / name).read_text(encoding="utf-8")
        for target in {part.partition(")")[0] for part in text.split("](")[1:]}:
            assert (PAGE.parent / Path(target)).exists(), target
