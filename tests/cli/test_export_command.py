"""robustdx export: a network with a purifier before it as one file, which is a model again."""

from pathlib import Path

import torch
from specimens import CLASSES, SIZE, Command, pixels

from robustdx.models import ModelSpec, load


def test_the_file_is_a_model_again(robustdx: Command, model, specimens, tmp_path: Path) -> None:
    """It can be loaded as any exported program, at the size that it was exported for, and tells the classes apart."""
    words = ("--data", specimens["folder"], "--defence", "median", "--defence", "bit-depth")
    ended = robustdx("export", *model, *words, "--out", tmp_path / "model.pt2")
    assert ended.status == 0, ended.err
    assert "model.pt2 takes any number of images and answers as the model does" in ended.out
    again = load(ModelSpec(str(tmp_path / "model.pt2")), "binary", ("benign", "malignant"), trust_code=True)
    assert again.size == (SIZE, SIZE)
    with torch.no_grad():
        decided = again(torch.from_numpy(pixels(CLASSES)).permute(0, 3, 1, 2).float() / 255).argmax(1)
    assert (decided == torch.tensor(CLASSES)).float().mean() > 0.8


def test_what_does_not_fit_is_refused(robustdx: Command, model, specimens, tmp_path: Path) -> None:
    words = ["export", *model, "--data", specimens["folder"], "--out"]
    for out, more, told in (
        ("model.bin", (), "ends in .onnx or .pt2"),
        ("model.pt2", ("--defence", "resize-pad"), "draws at random"),
        ("model.pt2", ("--defence", "jpeg"), "jpeg-differentiable for jpeg"),
    ):
        ended = robustdx(*words, tmp_path / out, *more)
        assert (ended.status, told in ended.err) == (2, True), ended.err
        assert not (tmp_path / out).exists()
