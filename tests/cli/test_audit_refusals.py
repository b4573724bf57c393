"""What `robustdx audit` refuses: one sentence on stderr, status 2, and nothing is written."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from specimens import CLASSES, SIZE, Command, pixels, save_weights, write_csv, write_folder, write_rows

Words = list[object]
Make = Callable[[Path, Words, Words], Words]
"""Given an empty folder, the flags of a good model and those of good data, the words of a command that is refused."""


@pytest.fixture
def data(specimens: dict[str, str]) -> Words:
    return ["--data", specimens["folder"]]


@pytest.fixture
def refused(robustdx: Command, tmp_path: Path) -> Callable[..., str]:
    """Run an audit that must be refused before anything is written; gives the sentence."""

    def call(*words: object, out: Path = tmp_path / "run") -> str:
        before = snapshot(out)
        outcome = robustdx("audit", *words, "--out", out)
        assert outcome.status == 2, outcome.err
        assert outcome.out == ""
        assert "Traceback" not in outcome.err
        *told, sentence = outcome.err.splitlines()
        assert sentence.startswith("robustdx: ")
        assert all(line.startswith("reading images") for line in told)
        assert snapshot(out) == before
        return sentence

    return call


def snapshot(path: Path) -> dict[str, bytes] | None:
    """Every file below a path, or None where there is nothing."""
    if not path.exists():
        return None
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in [path, *sorted(path.rglob("*"))]}


# --- the model -------------------------------------------------------------------------------------------------------


class Malice:
    """Pickled, it asks for a shell command on opening."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch i-was-here",)


def network(**settings: object) -> torch.nn.Module:
    return timm.create_model("test_resnet", **{"num_classes": 2, **settings})


def weighed(path: Path, state: object, name: str = "timm:test_resnet") -> Words:
    torch.save(state, path / "w.pth")
    return ["--model", name, "--weights", path / "w.pth", "--size", SIZE]


def with_state(change: Callable[[dict], object]) -> Make:
    def make(path: Path, model: Words, data: Words) -> Words:
        state = network().state_dict()
        return [*weighed(path, change(state) or state), *data]

    return make


def without_head(state: dict) -> None:
    del state["fc.weight"]


def with_one_more(state: dict) -> None:
    state["attention.weight"] = torch.zeros(3)


def with_nan(state: dict) -> None:
    state["fc.weight"][0, 0] = torch.nan


def written_network(body: str) -> Make:
    """A module of the user's own, in the current folder."""

    def make(path: Path, model: Words, data: Words) -> Words:
        (path / "clinic.py").write_text(f"import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        {body}\n")
        return ["--model", "clinic:Net", "--trust-code", "--size", SIZE, *data]

    return make


def script(path: Path, model: Words, data: Words) -> Words:
    with pytest.warns((FutureWarning, DeprecationWarning)):  # torch 2.11 says the one, later releases the other
        torch.jit.trace(torch.nn.Flatten(), torch.rand(1, 3, 4, 4)).save(path / "net.pt")
    return ["--model", path / "net.pt", "--size", 4, *data]


MODELS: dict[str, tuple[Make, tuple[str, ...]]] = {
    "a checkpoint with code": (with_state(lambda state: {**state, "hook": Malice()}), ("carries code", "system", "torch.save")),
    "missing weights": (with_state(without_head), ("1 missing (fc.weight)", "same architecture")),
    "unexpected weights": (with_state(with_one_more), ("1 unexpected (attention.weight)",)),
    "NaN weights": (with_state(with_nan), ("fc.weight", "NaN")),
    "a checkpoint that is none": (with_state(lambda state: [1, 2]), ("no weights",)),
    "a class count that does not fit": (
        lambda path, model, data: [*weighed(path, network(num_classes=5).state_dict()), *data],
        ("5 outputs", "data has classes for 2"),
    ),
    "no weights": (lambda path, model, data: ["--model", "timm:test_resnet", *data], ("no weights", "weights=FILE")),
    "weights that are not there": (
        lambda path, model, data: [*model[:2], "--weights", path / "no.pth", *data],
        ("no.pth", "check the path"),
    ),
    "no such timm network": (
        lambda path, model, data: ["--model", "timm:resnet81", *model[2:], *data],
        ("resnet81", "did you mean resnet"),
    ),
    "no such torchvision network": (lambda path, model, data: ["--model", "torchvision:resnet81", *data], ("did you mean resnet",)),
    "no such model": (lambda path, model, data: ["--model", "resnet18", *data], ("there is no model 'resnet18'", "timm:NAME")),
    "a folder that is no model": (lambda path, model, data: ["--model", path, *data], ("not a model", "model.json")),
    "a size that is none": (lambda path, model, data: [*model[:4], "--size", "big", *data], ("expected a size such as 224", "'big'")),
    "a size of nothing": (lambda path, model, data: [*model[:4], "--size", "0", *data], ("expected size", "0")),
    "mean without std": (lambda path, model, data: [*model, "--mean", "0.5", *data], ("both mean and std",)),
    "two means and three deviations": (
        lambda path, model, data: [*model, "--mean", ".5,.5", "--std", "1,1,1", *data],
        ("as many means as standard deviations",),
    ),
    "a mean that is no number": (lambda path, model, data: [*model, "--mean", "a,b,c", "--std", "1,1,1", *data], ("mean", "'a'")),
    "outputs that mean nothing": (lambda path, model, data: [*model, "--outputs", "scores", *data], ("logits, probabilities", "'scores'")),
    "TorchScript without leave": (script, ("--trust-code", "runs the code")),
    "a function without leave": (lambda path, model, data: ["--model", "clinic:Net", *data], ("--trust-code", "runs the code")),
    "a function that is not there": (lambda path, model, data: ["--model", "klinik:Net", "--trust-code", *data], ("klinik", "import")),
    "NaN outputs": (written_network("return x.mean((2, 3))[:, :2] * float('nan')"), ("NaN",)),
    "outputs of another shape": (written_network("return x.mean((2, 3))"), ("(B, 1)", "number of classes")),
    "no gradient": (
        lambda *given: [*written_network("return 2 * torch.eye(2)[x.mean((2, 3))[:, :2].argmax(1)]")(*given), "--no-escalation"],
        ("gradient", "argmax"),
    ),
}


@pytest.mark.parametrize("case", MODELS)
def test_model(case, refused, model, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "clinic", raising=False)
    make, told = MODELS[case]
    sentence = refused(*make(tmp_path, model, data))
    assert all(words in sentence for words in told), sentence
    assert not (tmp_path / "i-was-here").exists()


def test_nan_outputs_on_some_images(robustdx, model, data, tmp_path, monkeypatch):
    """Nobody can know before they are shown; the images before them are kept, and no report is written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "clinic", raising=False)
    words = written_network(
        "r, b = x[:, 0].mean((1, 2)), x[:, 2].mean((1, 2)); return torch.stack((r, torch.where(r > b + 0.15, torch.nan, b)), 1)"
    )(tmp_path, model, data)
    outcome = robustdx("audit", *words, "--out", tmp_path / "run")
    assert outcome.status == 2
    assert "NaN or infinity on the image benign/P00_000.png" in outcome.err
    assert not (tmp_path / "run" / "report.html").exists()


# --- the data --------------------------------------------------------------------------------------------------------


def folder_with(spoil: Callable[[Path], object]) -> Make:
    """A good folder of images in which one, in the middle, is spoilt."""

    def make(path: Path, model: Words, data: Words) -> Words:
        root = write_folder(path / "set", pixels(CLASSES), CLASSES)
        spoil(sorted(root.rglob("*.png"))[len(CLASSES) // 2])
        return [*model, "--data", f"folder:{root}"]

    return make


def table_with(change: Callable[[list[dict]], object], options: str = "") -> Make:
    """A good table of images whose rows are changed."""

    def make(path: Path, model: Words, data: Words) -> Words:
        table = write_csv(path / "labels.csv", pixels(CLASSES), CLASSES)
        rows: list[dict] = [{"image": f"i{i:03d}.png", "label": ("benign", "malignant")[c]} for i, c in enumerate(CLASSES)]
        change(rows)
        write_rows(table, rows)
        return [*model, "--data", f"csv:{table}{options}"]

    return make


def as_jpeg(file: Path, **settings: object) -> Path:
    image = Image.open(file).convert(str(settings.pop("mode", "RGB")))
    file.unlink()
    image.save(file.with_suffix(".jpg"), **settings)
    return file.with_suffix(".jpg")


def cut_short(file: Path) -> None:
    jpeg = as_jpeg(file)
    jpeg.write_bytes(jpeg.read_bytes()[: jpeg.stat().st_size // 2])


def of_floats(file: Path) -> None:
    Image.fromarray(np.zeros((SIZE, SIZE), np.float32)).save(file.with_suffix(".tif"))
    file.unlink()


def of_two_pages(file: Path) -> None:
    pages = [Image.new("L", (SIZE, SIZE), v) for v in (0, 255)]
    pages[0].save(file.with_suffix(".tif"), save_all=True, append_images=pages[1:])
    file.unlink()


def nameless(file: Path) -> None:
    file.rename(file.with_name(os.fsdecode(b"\xff.png")))


def rename(old: str, new: str) -> Callable[[list[dict]], None]:
    def change(rows: list[dict]) -> None:
        for row in rows:
            row[new] = row.pop(old)

    return change


def one_class(path: Path, model: Words, data: Words) -> Words:
    return [*model, "--data", f"folder:{write_folder(path / 'set', pixels([0, 0]), [0, 0])}"]


def empty(path: Path, model: Words, data: Words) -> Words:
    (path / "empty").mkdir()
    return [*model, "--data", f"folder:{path / 'empty'}"]


def empty_class(path: Path, model: Words, data: Words) -> Words:
    root = write_folder(path / "set", pixels(CLASSES), CLASSES)
    (root / "other").mkdir()
    return [*model, "--data", f"folder:{root}"]


def other_words(words: str) -> Make:
    return lambda path, model, data: [*model, "--data", words]


DATA: dict[str, tuple[Make, tuple[str, ...]]] = {
    "an empty folder": (empty, ("empty", "class folders", "got none")),
    "an empty class": (empty_class, ("other", "found none")),
    "a single class": (one_class, ("at least two class folders", "benign")),
    "no such folder": (other_words("folder:/nowhere/at/all"), ("/nowhere/at/all", "not there")),
    "no such source": (other_words("foldr:x"), ("'foldr'", "did you mean folder?")),
    "no such option": (other_words("folder:x,pacient=y"), ("'pacient'", "did you mean patient?")),
    "a truncated JPEG": (folder_with(cut_short), ("P", ".jpg", "cannot be decoded", "leave it out")),
    "an empty file": (folder_with(lambda file: file.write_bytes(b"")), (".png", "an empty file")),
    "a text file": (folder_with(lambda file: file.write_text("hello")), (".png", "expected an image")),
    "a CMYK image": (folder_with(lambda file: as_jpeg(file, mode="CMYK")), (".jpg", "CMYK", "convert it to RGB")),
    "an image of floats": (folder_with(of_floats), (".tif", "floating-point")),
    "an image of two pages": (folder_with(of_two_pages), (".tif", "2 in one file")),
    "a file name that is no text": (folder_with(nameless), ("file name", "rename")),
    "a table without the column image": (table_with(rename("image", "picture")), ("column 'image'", "label, picture")),
    "a table without labels": (table_with(rename("label", "diagnosis")), ("column label", "label=COLUMN")),
    "a table that names an unknown file": (table_with(lambda rows: rows[3].update(image="ghost.png")), ("'ghost.png' (row 5)",)),
    "two rows for one image": (table_with(lambda rows: rows.append(dict(rows[0]))), ("got 2 for 'i000.png'", "rows 2, 26")),
    "a blank label": (table_with(lambda rows: rows[3].update(label="")), ("blank in row 5",)),
    "no patient column where patients were asked for": (
        table_with(lambda rows: None, options=",patient=subject"),
        ("column 'subject'", "image, label"),
    ),
    "a name without the patient that was asked for": (
        lambda path, model, data: [*model, str(data[0]), str(data[1]).replace(r"(P\d+)_", r"(Q\d+)_")],
        ("Q", "to find the patient"),
    ),
    "a task that does not fit": (lambda path, model, data: [*model, *data, "--task", "multilabel"], ("multilabel does not fit",)),
    "no such task": (lambda path, model, data: [*model, *data, "--task", "detection"], ("task", "'detection'")),
    "no such split": (
        lambda path, model, data: [
            *model,
            "--data",
            f"csv:{write_csv(path / 'labels.csv', pixels(CLASSES), CLASSES, ['val', 'test'] * 12)}",
            "--split",
            "holdout",
        ],
        ("'holdout'", "val, test, or all"),
    ),
}


@pytest.mark.parametrize("case", DATA)
def test_data(case, refused, model, data, tmp_path):
    make, told = DATA[case]
    sentence = refused(*make(tmp_path, model, data))
    assert all(words in sentence for words in told), sentence


# --- the plan --------------------------------------------------------------------------------------------------------

PLANS: dict[str, tuple[str, tuple[str, ...]]] = {
    "a misspelt key": ("batchsize = 8", ("'batchsize'", "did you mean batch_size?")),
    "a misspelt key of the model": ("[model]\nwieghts = 'x'", ("'wieghts'", "did you mean weights?")),
    "a misspelt setting of an attack": ("attacks = [{ name = 'pgd', step = 3 }]", ("'step'", "did you mean steps?")),
    "an unknown attack": ("attacks = [{ name = 'pdg' }]", ("'pdg'", "did you mean pgd?")),
    "an attack without a table": ("attacks = ['pgd']", ("attacks", "expected a table", "'pgd'")),
    "a model without a table": ("model = 'timm:test_resnet'", ("model", "expected a table", "'timm:test_resnet'")),
    "two attacks of one name": ("attacks = [{ name = 'pgd' }, { name = 'pgd', steps = 2 }]", ("two attacks are called pgd", "label")),
    "an attack without a name": ("attacks = [{ name = 'pgd', label = '' }]", ("empty label",)),
    "text for a number": ("batch_size = 'many'", ("batch_size", "'many'")),
    "a fraction that is none": ("eps = ['8/255th']", ("eps", "'8/255th'", "like 8/255")),
    "an attack on no images": ("attacks = [{ name = 'pgd', images = 0 }]", ("attack pgd: images must be a whole number of at least 1",)),
    "a preset beside attacks": ("preset = 'quick'\nattacks = [{ name = 'pgd' }]", ("a preset or attacks, got both", "leave one")),
    "something that is not TOML": ("eps = [", ("not a TOML file",)),
}


@pytest.mark.parametrize("case", PLANS)
def test_plan(case, refused, model, data, tmp_path):
    text, told = PLANS[case]
    (tmp_path / "plan.toml").write_text(text)
    sentence = refused(tmp_path / "plan.toml", *model, *data)
    assert all(words in sentence for words in told), sentence


FLAGS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "eps below 0": (["--eps=-1/255"], ("eps must lie in [0, 1]", "-0.0039")),
    "eps above 1": (["--eps", "8"], ("eps must lie in [0, 1]", "got 8", "8/255")),
    "eps above the longest L2 distance": (["--threat", "l2", "--eps", "1e9"], ("eps", "1e+09")),
    "eps that is no number": (["--eps", "big"], ("eps", "'big'", "8/255")),
    "no eps": (["--eps", ","], ("eps", "','")),
    "an unknown attack": (["--attack", "autoatack"], ("no attack named 'autoatack'", "did you mean autoattack?")),
    "an attack's setting without a value": (["--attack", "pgd,steps"], ("pgd,setting=value",)),
    "no eps above 0": (["--eps", "0"], ("an eps above 0",)),
    "two eps that are the same": (["--eps", "0.1,0.1000001"], ("eps that differ", "25.5/255")),
    "a setting twice": (["--attack", "pgd,steps=3,steps=4"], ("each setting once", "second steps")),
    "a size beyond reason": (["--size", "100000"], ("at most 16384",)),
    "a device that does not compute": (["--device", "meta"], ("expected a device", "'meta'")),
    "a setting of an attack that has none": (["--attack", "fgsm,steps=2"], ("'steps'", "there is none")),
    "an unknown preset": (["--preset", "fast"], ("preset", "quick, standard, thorough", "'fast'")),
    "a preset beside attacks": (["--preset", "quick", "--attack", "pgd"], ("a preset or attacks, got both", "leave one")),
    "no steps": (["--attack", "pgd,steps=0"], ("steps", "at least 1")),
    "an unknown threat": (["--threat", "linf2"], ("threat", "linf, l2")),
    "no images": (["--images", "0"], ("images must be at least 1",)),
    "no batch": (["--batch-size", "0"], ("batch_size must be at least 1",)),
    "an unknown precision": (["--precision", "float8"], ("auto, float32, bfloat16",)),
    "an unknown device": (["--device", "gpu"], ("expected a device", "'gpu'")),
    "a device that is not there": (["--device", "cuda:7"], ("expected a device", "'cuda:7'")),
}


@pytest.mark.parametrize("case", FLAGS)
def test_flags(case, refused, model, data):
    flags, told = FLAGS[case]
    sentence = refused(*model, *data, *flags)
    assert all(words in sentence for words in told), sentence


def test_a_plan_that_is_not_there(refused, tmp_path):
    assert "cannot read the plan" in refused(tmp_path / "no.toml")
    assert "cannot read the plan" in refused(tmp_path)


def test_nothing_to_audit(refused, model, data):
    assert "expected the key data" in refused(*model)
    assert "expected the key model" in refused(*data)


def test_no_folder_for_the_run(robustdx, model, data):
    outcome = robustdx("audit", *model, *data)
    assert outcome.status == 2
    assert "give --out FOLDER" in outcome.err


# --- the folder of the run -------------------------------------------------------------------------------------------


def test_the_folder_of_another_plan(refused, robustdx, quick, model, data, tmp_path):
    assert robustdx("audit", quick, *model, *data, "--out", tmp_path / "run").status == 0
    sentence = refused(quick, *model, *data, "--eps", "4/255")
    assert "holds the run of another plan" in sentence
    assert "eps was" in sentence
    assert "give another --out" in sentence


def test_other_weights_under_the_same_name(refused, robustdx, quick, model, data, tmp_path):
    """A report must not be taken for one about weights that it never saw."""
    weights = tmp_path / "w.safetensors"
    shutil.copy(model[3], weights)
    words = [quick, *model[:3], weights, *model[4:], *data]
    assert robustdx("audit", *words, "--out", tmp_path / "run").status == 0
    torch.manual_seed(1)
    save_weights(network(), weights)
    assert "weights_sha256 was" in refused(*words)


def test_a_folder_of_something_else(refused, model, data, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    assert "expected a new or empty folder" in refused(*model, *data)


def test_a_file_in_place_of_the_folder(refused, model, data, tmp_path):
    (tmp_path / "run").write_text("")
    assert "expected a new or empty folder" in refused(*model, *data)


def test_a_folder_that_cannot_be_written(refused, quick, model, data):
    """/proc takes no folders, whoever asks."""
    assert "cannot write /proc/run" in refused(quick, *model, *data, out=Path("/proc/run"))


def test_what_the_file_system_refuses_by_name(refused, model, data):
    """A folder without permission would be another; root may do anything, but not this."""
    name = "a" * 300
    assert "File name too long: check the path" in refused(*model, "--data", f"folder:{name}")
    assert "File name too long: check the path" in refused("--model", name, *data)


def test_a_disk_that_is_full_from_the_start(refused, quick, model, data, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    sentence = refused(quick, *model, *data)
    assert "No space left on device" in sentence
    assert "make room" in sentence


@pytest.mark.parametrize("room", [2_000, 20_000])
def test_a_disk_that_fills_up(room, robustdx, quick, model, data, tmp_path):
    """What is whole stays, and with room again the same command goes on to the end."""
    words = ["audit", quick, *model, *data, "--out", tmp_path / "run"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))  # no file may grow beyond it
    try:
        outcome = robustdx(*words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert outcome.status == 2, outcome.err
    assert "Traceback" not in outcome.err
    assert "File too large" in outcome.err
    assert not list((tmp_path / "run").rglob("*.part"))
    assert not (tmp_path / "run" / "manifest.json").exists()
    assert robustdx(*words).status == 0
    assert (tmp_path / "run" / "report.html").is_file()
