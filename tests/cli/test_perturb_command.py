"""robustdx perturb: a folder of images in, the same images out as they might have been taken on a worse day."""

import csv
import errno
import json
import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from natural_specimens import Dusk, Wisp
from PIL import Image
from specimens import CLASSES, Command, write_folder

from robustdx.data import load_dataset
from robustdx.data.read import read_image
from robustdx.draws import Draws
from robustdx.perturbations import PERTURBATIONS


@pytest.fixture(autouse=True)
def perturbations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that can be computed by hand, beside what the catalogue holds."""
    for name, cls in {"dusk": Dusk, "wisp": Wisp}.items():
        monkeypatch.setitem(PERTURBATIONS.methods, name, cls)


@pytest.fixture
def scans(tmp_path: Path, images: np.ndarray) -> Path:
    """Class folders with colour PNG; one image of another size, one grey, one JPEG."""
    root = write_folder(tmp_path / "scans", images[:6], CLASSES[:6])
    large, grey, photo = sorted(root.rglob("*.png"))[:3]
    Image.open(large).resize((50, 40)).save(large)
    Image.open(grey).convert("L").save(grey)
    Image.open(photo).save(photo.with_suffix(".jpg"), quality=90)
    photo.unlink()
    return root


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def expected(line: dict[str, str], method: object, name: str, seed: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """What the perturbation makes of a file, on the grid of 8 bits."""
    x = torch.from_numpy(read_image(line["source"], size, int(line["channels"]))).permute(2, 0, 1)[None].float() / 255
    made = method(x, int(line["severity"]), Draws(seed, (line["id"],)).fork("perturbation", name))
    return (made[0] * 255).round().byte().permute(1, 2, 0).numpy()


def test_the_files_are_what_the_perturbation_answers(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--perturbation", "dusk", "--perturbation", "wisp", "--severity", "3,1", "--seed", 7)
    ended = robustdx("perturb", "--data", f"folder:{scans}", *words, "--out", out)
    assert (ended.status, "The images are in" in ended.out) == (0, True), ended.err
    lines = rows(out)
    assert len(lines) == 6 * 2 * 2
    assert {line["channels"] for line in lines} == {"1", "3"}, "what is grey stays grey"
    for line in lines:
        after = read_image(out / line["image"], None, int(line["channels"]))
        before = read_image(line["source"], None, int(line["channels"]))
        method = {"dusk": Dusk(), "wisp": Wisp()}[line["perturbation"]]
        assert np.array_equal(after, expected(line, method, line["perturbation"], seed=7))
        assert Image.open(out / line["image"]).format == "PNG"
        change = abs(after.astype(int) - before) / 255
        assert float(line["mean_change"]) == pytest.approx(change.mean(), rel=1e-4)
        assert float(line["largest_change"]) == pytest.approx(change.max(), rel=1e-4)
        assert line["source_sha256"] == sha256(Path(line["source"]).read_bytes()).hexdigest()
        assert line["pixels_sha256"] == sha256(after.tobytes()).hexdigest()
    assert (load_dataset(f"folder:{out}/images/dusk/3").classes, len(load_dataset(f"folder:{out}/images/wisp/1"))) == (
        ("benign", "malignant"),
        6,
    ), "each perturbation and severity is a folder that is read as the images were"
    told = json.loads((out / "run.json").read_text())
    assert (told["seed"], told["severities"], told["perturbations"][0]) == (7, [1, 3], {"name": "dusk", "strength": 0.05})
    assert json.loads((out / "manifest.json").read_text())


def test_settings_size_and_what_is_drawn(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    """With settings of its own a perturbation has a folder of its own; an image draws by its name and the seed, whatever is beside it."""
    out = tmp_path / "out"
    words = ("--perturbation", "dusk,strength=0.1", "--perturbation", "dusk", "--severity", 2, "--size", "24x40", "--channels", 3)
    ended = robustdx("perturb", "--data", f"folder:{scans}", *words, "--out", out)
    assert ended.status == 0, ended.err
    for line in rows(out):
        after = np.asarray(Image.open(out / line["image"]))
        strength = 0.1 if line["perturbation"] == "dusk,strength=0.1" else 0.05
        assert after.shape == (24, 40, 3)
        assert line["image"].startswith(f"images/{line['perturbation']}/2/")
        assert np.array_equal(after, expected(line, Dusk(strength=strength), "dusk", 0, (24, 40)))
        assert not np.array_equal(after, expected(line, Dusk(strength=strength), "dusk", 1, (24, 40)))


def test_it_goes_on_with_what_is_not_there(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    """A file that is gone is made again, one that was cut short too; the others are left alone, and the manifest is the same."""
    out = tmp_path / "out"
    words = ["perturb", "--data", f"folder:{scans}", "--perturbation", "dusk", "--severity", "1,5", "--out", out]
    assert robustdx(*words).status == 0
    files = {p: p.read_bytes() for p in out.rglob("*.png")}
    manifest = (out / "manifest.csv").read_bytes()
    gone, cut, *left = sorted(files)
    times = {p: p.stat().st_mtime_ns for p in left}
    gone.unlink()
    cut.write_bytes(files[cut][:60])
    (out / "manifest.json").unlink()
    assert "The images are in" in robustdx(*words).out
    assert {p: p.read_bytes() for p in out.rglob("*.png")} == files
    assert {p: p.stat().st_mtime_ns for p in left} == times
    assert (out / "manifest.csv").read_bytes() == manifest
    assert robustdx(*words).out.startswith("Nothing to do")
    gone.unlink()
    assert "The images are in" in robustdx(*words).out, "a finished run in which a file is missing is not finished"
    other = robustdx(*words, "--seed", 1)
    assert (other.status, "another plan" in other.err, "seed was 0, now 1" in other.err) == (2, True, True)


def test_a_folder_that_nobody_has_sorted(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    (loose / "deep").mkdir(parents=True)
    for n, file in enumerate(sorted(scans.rglob("*.png"))):
        Image.open(file).save(loose / ("deep" if n % 2 else "") / f"{n}.png")
    ended = robustdx("perturb", "--data", loose, "--perturbation", "dusk", "--severity", 1, "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    made = {p.relative_to(tmp_path / "out" / "images" / "dusk" / "1") for p in (tmp_path / "out").rglob("*.png")}
    assert made == {p.relative_to(loose) for p in loose.rglob("*.png")}
    (tmp_path / "nothing").mkdir()
    ended = robustdx("perturb", "--data", tmp_path / "nothing", "--perturbation", "dusk", "--out", tmp_path / "other")
    assert (ended.status, "expected images, found none" in ended.err) == (2, True), ended.err


def test_all_that_is_believable_on_a_modality(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    """What happens to skin only is not among all that happens to an X-ray; asked for by name it is made, and said to be odd."""
    small = {name: cls for name, cls in PERTURBATIONS.methods.items() if name in ("dusk", "wisp")}
    before = dict(PERTURBATIONS.methods)
    PERTURBATIONS.methods.clear()
    PERTURBATIONS.methods.update(small)
    try:
        words = ["perturb", "--data", scans, "--severity", 1, "--images", 2]
        for modality, made in (("x-ray", {"dusk"}), ("dermoscopy", {"dusk", "wisp"})):
            ended = robustdx(*words, "--perturbation", "all", "--modality", modality, "--out", tmp_path / modality)
            assert ended.status == 0, ended.err
            assert {line["perturbation"] for line in rows(tmp_path / modality)} == made
            assert "all the same" not in ended.err
        ended = robustdx(*words, "--perturbation", "wisp", "--modality", "x-ray", "--out", tmp_path / "odd")
        assert ended.status == 0
        assert "wisp happens to dermoscopy, hardly to x-ray: it is made all the same" in ended.err
        assert {line["perturbation"] for line in rows(tmp_path / "odd")} == {"wisp"}
        ended = robustdx(*words, "--perturbation", "all", "--out", tmp_path / "none")
        assert (ended.status, "give --modality" in ended.err) == (2, True), ended.err
    finally:
        PERTURBATIONS.methods.clear()
        PERTURBATIONS.methods.update(before)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--perturbation", "dusk", "--severity", 0), "severity goes from 1 (hardly seen) to 5 (hardly readable), got 0"),
        (("--perturbation", "dusk", "--severity", "1,6"), "severity goes from 1 (hardly seen) to 5 (hardly readable), got 6"),
        (("--perturbation", "dusk", "--severity", "mild"), "expected whole numbers"),
        (("--perturbation", "dusk", "--severity", "2,2"), "expected different severities"),
        (("--perturbation", "dust_"), "there is no perturbation named 'dust_': did you mean "),
        (("--perturbation", "dusk,strenght=1"), "did you mean strength?"),
        (("--perturbation", "dusk", "--perturbation", "dusk"), "expected each perturbation once, got dusk"),
        ((), "expected a perturbation, got none"),
        (("--perturbation", "artefacts"), "the data do not say theirs: give --modality"),
        (("--perturbation", "all", "--modality", "xray"), "there is no modality named 'xray': did you mean x-ray?"),
        (("--perturbation", "wisp"), "tiny.png: wisp needs images of at least 8x8"),
        (("--perturbation", "dusk", "--size", "0"), "expected a size such as 224"),
        (("--perturbation", "dusk", "--split", "test"), "has no split named 'test'"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_folder_is_made(
    robustdx: Command, scans: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    Image.new("RGB", (40, 3), (9, 90, 200)).save(scans / "malignant" / "tiny.png")
    ended = robustdx("perturb", "--data", f"folder:{scans}", *words, "--out", tmp_path / "out")
    assert (ended.status, told in ended.err) == (2, True), ended.err
    assert not (tmp_path / "out").exists()


def test_what_comes_in_is_never_written_to(robustdx: Command, scans: Path, tmp_path: Path) -> None:
    before = {p: p.read_bytes() for p in scans.rglob("*") if p.is_file()}
    for data in (scans, f"folder:{scans}"):
        for out, word in {
            scans: "lies in",
            scans / "new" / "deep": "lies in",
            tmp_path: "is to be perturbed and must stay as it is",
        }.items():
            ended = robustdx("perturb", "--data", data, "--perturbation", "dusk", "--out", out)
            assert (ended.status, word in ended.err) == (2, True), ended.err
    assert {p: p.read_bytes() for p in scans.rglob("*") if p.is_file()} == before


def test_a_full_disk_is_said_and_the_command_goes_on_afterwards(
    robustdx: Command, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["perturb", "--data", scans, "--perturbation", "dusk", "--severity", 2, "--out", tmp_path / "out"]
    write = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if len(list((tmp_path / "out").rglob("*.png"))) >= 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        ended = robustdx(*words)
    assert (ended.status, "No space left on device" in ended.err, "make room" in ended.err) == (2, True, True), ended.err
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert robustdx(*words).status == 0
    assert len(list((tmp_path / "out").rglob("*.png"))) == 6
