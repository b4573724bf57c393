"""robustdx purify: a folder of images in, the same folder as a purifier leaves it out."""

import csv
import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from specimens import CLASSES, Command, write_folder

from robustdx.data.read import read_image
from robustdx.draws import Draws
from robustdx.purifiers import PURIFIERS

CHAIN = ("--purifier", "gaussian,sigma=0.8", "--purifier", "total-variation,steps=5")


@pytest.fixture
def scans(tmp_path: Path, images: np.ndarray) -> Path:
    """Class folders with colour PNG; one image with a text and a profile of its own, one of another size, one grey, one JPEG."""
    root = write_folder(tmp_path / "scans", images[:8], CLASSES[:8])
    noted, large, grey, photo = sorted(root.rglob("*.png"))[:4]
    text = PngImagePlugin.PngInfo()
    text.add_text("Scanner", "A7")
    Image.open(noted).copy().save(noted, pnginfo=text, dpi=(300, 300))
    Image.open(large).resize((50, 40)).save(large)
    Image.open(grey).convert("L").save(grey)
    Image.open(photo).save(photo.with_suffix(".jpg"), quality=90)
    photo.unlink()
    return root


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def purified(path: str, words: object, image: str, channels: int, seed: int = 0) -> np.ndarray:
    """What the purifier makes of a file, on the grid of 8 bits."""
    x = torch.from_numpy(read_image(path, None, channels)).permute(2, 0, 1)[None].float() / 255
    pure = PURIFIERS.parse(words)(x, Draws(seed, (image,)).fork("purify"))
    return (pure[0] * 255).round().byte().permute(1, 2, 0).numpy()


def test_the_files_are_what_the_purifier_answers(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    ended = robustdx("purify", "--data", f"folder:{scans}", "--purifier", "jpeg,quality=75", "--out", tmp_path / "out")
    assert (ended.status, "The images are in" in ended.out) == (0, True), ended.err
    lines = rows(tmp_path / "out")
    assert len(lines) == 8
    assert sorted(line["channels"] for line in lines) == ["1", *["3"] * 7], "what is grey stays grey"
    for line in lines:
        after = read_image(tmp_path / "out" / line["image"], None, int(line["channels"]))
        before = read_image(line["source"], None, int(line["channels"]))
        assert np.array_equal(after, purified(line["source"], {"name": "jpeg", "quality": 75}, line["id"], int(line["channels"])))
        change = abs(after.astype(int) - before) / 255
        assert float(line["mean_change"]) == pytest.approx(change.mean(), rel=1e-4)
        assert float(line["largest_change"]) == pytest.approx(change.max(), rel=1e-4)
        assert line["sha256"] == sha256(Path(line["source"]).read_bytes()).hexdigest()
        assert line["purifier"] == "jpeg,quality=75,subsampling=4:2:0"
    kept = [Image.open(p).info for p in (tmp_path / "out").rglob("*.png")]
    assert [i["Scanner"] for i in kept if "Scanner" in i] == ["A7"]
    assert any(round(i.get("dpi", (0, 0))[0]) == 300 for i in kept)


def test_a_chain_draws_for_each_image_by_its_name_and_the_seed(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = robustdx("purify", "--data", f"folder:{scans}", *CHAIN, "--seed", 3, "--images", 4, "--channels", 3, "--out", out)
    assert ended.status == 0, ended.err
    words = json.loads((out / "plan.json").read_text())["purifier"]
    assert [member["name"] for member in words["members"]] == ["gaussian", "total-variation"]
    for line in rows(out):
        after = np.asarray(Image.open(out / line["image"]))
        assert np.array_equal(after, purified(line["source"], words, line["id"], 3, seed=3))
        assert not np.array_equal(after, purified(line["source"], words, line["id"], 3, seed=4))


def test_it_goes_on_with_what_is_not_there(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    """A file that is gone is made again, one that was cut short too; the others are left alone, and the manifest is the same."""
    out = tmp_path / "out"
    words = ["purify", "--data", f"folder:{scans}", *CHAIN, "--out", out]
    assert robustdx(*words).status == 0
    files = {p: p.read_bytes() for p in out.rglob("*.png")}
    manifest = (out / "manifest.csv").read_bytes()
    gone, cut, *left = sorted(files)
    times = {p: p.stat().st_mtime_ns for p in left}
    gone.unlink()
    cut.write_bytes(files[cut][:60])
    (out / "manifest.json").unlink()
    left[0].with_name("half.png.part").write_bytes(b"what a killed process leaves")
    assert "The images are in" in robustdx(*words).out
    assert {p: p.read_bytes() for p in out.rglob("*.png")} == files
    assert {p: p.stat().st_mtime_ns for p in left} == times
    assert (out / "manifest.csv").read_bytes() == manifest
    assert not list(out.rglob("*.part"))
    assert robustdx(*words).out.startswith("Nothing to do")
    gone.unlink()
    assert "The images are in" in robustdx(*words).out, "a finished run in which a file is missing is not finished"
    other = robustdx(*words, "--seed", 1)
    assert (other.status, "another plan" in other.err) == (2, True)


def test_what_comes_in_is_never_written_to(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    before = {p: p.read_bytes() for p in scans.rglob("*") if p.is_file()}
    (tmp_path / "link").symlink_to(scans)
    places = {scans: "lies in", scans / "benign": "lies in", scans / "new" / "deep": "lies in", tmp_path / "link" / "new": "lies in"}
    for out, word in {**places, tmp_path: "must stay as it is"}.items():
        ended = robustdx("purify", "--data", f"folder:{scans}", "--purifier", "jpeg", "--out", out)
        assert (ended.status, word in ended.err) == (2, True), ended.err
    assert {p: p.read_bytes() for p in scans.rglob("*") if p.is_file()} == before
    assert not (scans / "new").exists()


def test_what_does_not_fit_is_refused_before_a_folder_is_made(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    tiny = scans / "malignant" / "tiny.png"
    Image.new("RGB", (3, 40), (9, 90, 200)).save(tiny)
    words = ["purify", "--data", f"folder:{scans}", "--out", tmp_path / "out", "--purifier"]
    for purifier, told in {
        "wavelet": "tiny.png: wavelet needs images of at least 4x4",
        "jpg": "did you mean jpeg?",
        "jpeg,quality=0": "quality must lie between 1 and 100",
    }.items():
        ended = robustdx(*words, purifier)
        assert (ended.status, told in ended.err) == (2, True), ended.err
    tiny.write_bytes(b"no image")
    ended = robustdx(*words, "jpeg")
    assert (ended.status, "tiny.png: expected an image" in ended.err) == (2, True), ended.err
    assert not (tmp_path / "out").exists()


def test_images_without_files_are_purified_too(robustdx: Command, tmp_path: Path) -> None:
    ended = robustdx("purify", "--data", "synthetic,images=20", "--split", "val", "--purifier", "median", "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    lines = rows(tmp_path / "out")
    assert {Image.open(tmp_path / "out" / line["image"]).size for line in lines} == {(128, 128)}
    assert {(line["source"], len(line["sha256"])) for line in lines} == {("", 64)}
