"""robustdx perturb --sheet: one picture of what happens to an image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from natural_specimens import Dusk, Wisp
from PIL import Image
from specimens import CLASSES, Command, write_folder

from robustdx.auditing.files.contact_sheet import GAP, LETTERS
from robustdx.data.read import read_image
from robustdx.draws import Draws
from robustdx.perturbations import PERTURBATIONS


@pytest.fixture(autouse=True)
def perturbations(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, cls in {"dusk": Dusk, "wisp": Wisp}.items():
        monkeypatch.setitem(PERTURBATIONS.methods, name, cls)


@pytest.fixture
def scans(tmp_path: Path, images: np.ndarray) -> Path:
    return write_folder(tmp_path / "scans", images[:4], CLASSES[:4])


WORDS = ("--perturbation", "dusk", "--perturbation", "wisp")


def test_rows_are_perturbations_and_columns_severities(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    """Every tile is, pixel by pixel, what `robustdx perturb` would write; the labels have room beside and above."""
    name = "malignant/P01_001.png"
    ended = robustdx("perturb", "--data", f"folder:{scans}", *WORDS, "--sheet", "--image", name, "--out", tmp_path / "sheet.png")
    assert (ended.status, "The contact sheet is" in ended.out) == (0, True), ended.err
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    side, top = 32, LETTERS + 3 * GAP
    left = sheet.shape[1] - 6 * (side + GAP)
    assert sheet.shape[0] == top + 2 * (side + GAP)
    assert left > 2 * GAP
    clean = read_image(scans / name, None, 3)
    x = torch.from_numpy(clean.copy()).permute(2, 0, 1)[None].float() / 255
    for m, (word, method) in enumerate({"dusk": Dusk(), "wisp": Wisp()}.items()):
        made = [method(x, s, Draws(0, (name,)).fork("perturbation", word)) for s in range(1, 6)]
        expected = [clean, *((t[0] * 255).round().byte().permute(1, 2, 0).numpy() for t in made)]
        for n, tile in enumerate(expected):
            y, across = top + m * (side + GAP), left + n * (side + GAP)
            assert np.array_equal(sheet[y : y + side, across : across + side], tile), (word, n)
    assert (sheet[:top, left:] < 100).any(), "the columns have captions"
    assert (sheet[top:, :left] < 100).any(), "the rows have labels"


def test_frames_of_sequences_stand_in_a_row(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    words = ("--sequence", "brightness", "--sequence", "rotate", "--frames", 3, "--size", 40, "--sheet")
    ended = robustdx("perturb", "--data", f"folder:{scans}", *words, "--out", tmp_path / "sheet.png")
    assert ended.status == 0, ended.err
    width, height = Image.open(tmp_path / "sheet.png").size
    assert height == LETTERS + 3 * GAP + 2 * (40 + GAP)
    assert 3 * (40 + GAP) < width < 3 * (40 + GAP) + 200


def test_a_large_image_is_brought_to_the_size_of_a_tile_first(robustdx: Command, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("L", (1000, 500), 120).save(tmp_path / "photos" / "a.png")
    words = ("perturb", "--data", tmp_path / "photos", *WORDS, "--severity", 2, "--sheet", "--out", tmp_path / "sheet.png")
    assert robustdx(*words).status == 0
    assert Image.open(tmp_path / "sheet.png").height == LETTERS + 3 * GAP + 2 * (112 + GAP)


def test_nothing_else_is_written_over(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    words = ("perturb", "--data", f"folder:{scans}", *WORDS, "--sheet", "--out", out)
    assert robustdx(*words).status == 0
    before = out.read_bytes()
    assert robustdx(*words).out.startswith("Nothing to do")
    other = robustdx(*words, "--seed", 1)
    assert (other.status, "is another contact sheet" in other.err) == (2, True), other.err
    assert out.read_bytes() == before
    photo = tmp_path / "photo.png"
    Image.new("RGB", (4, 4)).save(photo)
    other = robustdx(*words[:-1], photo)
    assert (other.status, "is something else" in other.err) == (2, True), other.err


def test_what_is_no_sheet_is_refused(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    words = ("perturb", "--data", f"folder:{scans}", *WORDS, "--sheet", "--out")
    ended = robustdx(*words, tmp_path / "out")
    assert (ended.status, "a contact sheet is a .png" in ended.err) == (2, True), ended.err
    ended = robustdx(*words, tmp_path / "out.png", "--image", "nobody")
    assert (ended.status, "such as 'benign/P00_000.png', got 'nobody'" in ended.err) == (2, True), ended.err
