"""robustdx attack: images in, adversarial images out, as files that hold what the manifest says."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from specimens import CLASSES, SIZE, Command, write_folder

from robustdx.cli.demo import HOME
from robustdx.data import load_dataset

EPS = 24


@pytest.fixture
def scans(tmp_path: Path, images: np.ndarray) -> Path:
    """Class folders; one image with a text and a resolution of its own, one of another size, two that differ in their ending."""
    root = write_folder(tmp_path / "scans", images, CLASSES)
    noted, large = sorted(root.rglob("*.png"))[:2]
    text = PngImagePlugin.PngInfo()
    text.add_text("Scanner", "A7")
    Image.open(noted).copy().save(noted, pnginfo=text, dpi=(300, 300))
    Image.open(large).resize((50, 40)).save(large)
    Image.open(noted).save(noted.with_suffix(".bmp"))
    return root


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_files_hold_what_the_manifest_says(robustdx: Command, model, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = robustdx("attack", *model, "--data", f"folder:{scans}", "--eps", f"{EPS}/255", "--attack", "pgd,steps=5", "--out", out)
    assert ended.status == 0, ended.err
    lines = rows(out / "manifest.csv")
    assert len(lines) == len(CLASSES) + 1
    assert len({line["image"] for line in lines}) == len(lines), "two that differ in their ending alone stay two"
    for line in lines:
        before, after = (np.asarray(Image.open(p).convert("RGB"), dtype=int) for p in (line["source"], out / line["image"]))
        assert before.shape == after.shape, "the original size"
        assert abs(before - after).max() == round(float(line["distance"]) * 255) <= EPS
        assert json.loads(line["settings"])["steps"] == 5
    turned = [line for line in lines if line["decision_before"] != line["decision_after"]]
    assert len(turned) > len(lines) / 2


def test_they_can_be_read_again_and_fool_as_written(robustdx: Command, model, scans: Path, tmp_path: Path, quick: Path) -> None:
    """An audit of the written folder finds, without any attack, the decisions of the manifest."""
    out = tmp_path / "out"
    robustdx("attack", *model, "--data", f"folder:{scans}", "--eps", f"{EPS}/255", "--at-input-size", "--out", out)
    again = robustdx("audit", quick, *model, "--data", f"folder:{out / 'images'}", "--split", "all", "--out", tmp_path / "again")
    assert again.status == 0, again.err
    wrong = sum(line["decision_after"] != line["label"] for line in rows(out / "manifest.csv"))
    clean = json.loads((tmp_path / "again" / "results.json").read_text())["cells"][0]
    assert clean["metrics"]["accuracy"]["value"] == pytest.approx(1 - wrong / clean["images"])
    assert {Image.open(p).size for p in out.rglob("*.png")} == {(SIZE, SIZE)}


def test_what_the_format_says_beside_the_pixels_is_kept(robustdx: Command, model, scans: Path, tmp_path: Path) -> None:
    robustdx("attack", *model, "--data", f"folder:{scans}", "--eps", "1/255", "--attack", "fgsm", "--out", tmp_path / "out")
    kept = [Image.open(p).info for p in sorted((tmp_path / "out").rglob("*.png"))]
    assert [i["Scanner"] for i in kept if "Scanner" in i] == ["A7"]
    assert any(round(i.get("dpi", (0, 0))[0]) == 300 for i in kept)


def test_a_second_start_does_nothing_and_another_plan_is_refused(robustdx: Command, model, specimens, tmp_path: Path) -> None:
    words = ["attack", *model, "--data", specimens["folder"], "--attack", "fgsm", "--out", tmp_path / "out"]
    assert "The images are in" in robustdx(*words, "--eps", "2/255").out
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    assert robustdx(*words, "--eps", "2/255").out.startswith("Nothing to do")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before
    other = robustdx(*words, "--eps", "4/255")
    assert (other.status, "another plan" in other.err) == (2, True)


@pytest.mark.parametrize(
    ("eps", "words"), [("0.5/255", "nothing smaller survives"), ("1/255,2/255", "one attack and one eps"), ("2", r"eps must lie in [0, 1]")]
)
def test_budgets_that_make_no_images_are_refused(robustdx: Command, model, specimens, tmp_path: Path, eps: str, words: str) -> None:
    ended = robustdx("attack", *model, "--data", specimens["folder"], "--eps", eps, "--out", tmp_path / "out")
    assert ended.status == 2
    assert words in ended.err
    assert not (tmp_path / "out").exists()


def test_only_the_lesion_is_changed(robustdx, tmp_path):
    """On the built-in data, whose lesions are drawn with their masks."""
    data = load_dataset("synthetic,images=200")
    words = ("--model", HOME, "--data", "synthetic,images=200", "--split", "test", "--images", "4", "--eps", "8/255", "--at-input-size")
    for region in ("inside", "outside"):
        ended = robustdx("attack", *words, "--region", region, "--attack", "pgd,steps=2", "--out", tmp_path / region)
        assert ended.status == 0, ended.err
        files = list((tmp_path / region / "images").glob("*.png"))
        assert len(files) >= 4
        changed = False
        for example in (e for e in data.examples if tmp_path / region / "images" / f"{e.id}.png" in files):
            pixels = np.asarray(Image.open(tmp_path / region / "images" / f"{example.id}.png"))
            differs, inside = (pixels != data.read(example, pixels.shape[:2], 3)).any(2), data.mask(example, pixels.shape[:2])
            assert not differs[~inside if region == "inside" else inside].any()
            changed |= bool(differs.any())
        assert changed
