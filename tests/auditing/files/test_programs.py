"""A purifier and its network as one file: it answers as they do, or it is not written."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from robustdx.auditing.files import programs
from robustdx.auditing.files.constants import IMAGE, Constants
from robustdx.auditing.files.programs import FACTS, export_onnx, export_program
from robustdx.draws import Draws
from robustdx.errors import ModelError, PlanError
from robustdx.models import Defended, DiagnosticModel
from robustdx.purifiers import JPEG, Chain, Gaussian, Median, TotalVariation, WithoutDraws
from robustdx.tasks import MultiClass, MultiLabel

X = torch.rand((20, 3, 24, 20), generator=torch.Generator().manual_seed(5))


def model(task=None, **settings) -> DiagnosticModel:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3)
    )
    network[-1].weight.data *= 20
    settings = {"size": (24, 20), "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.25), **settings}
    return DiagnosticModel(network, task or MultiClass(("mel", "nev", "bcc")), **settings)


def onnx_runtime(path: Path):
    runtime = pytest.importorskip("onnxruntime", reason="ONNX needs robustdx[export]")
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package, reason="ONNX needs robustdx[export]")
    return lambda x: runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"pixels": x.numpy()})[0]


def test_onnx_runtime_answers_as_the_model_does(tmp_path):
    run = onnx_runtime(tmp_path / "model.onnx")
    defended = Defended(model(MultiLabel(("mel", "nev", "bcc"))), Chain(members=(Gaussian(sigma=0.7), Median()))).eval()
    made = export_onnx(defended, tmp_path / "model.onnx")
    assert [f.name for f in tmp_path.iterdir()] == ["model.onnx"], "one file"
    assert made.batch is None
    with torch.no_grad():
        expected = defended(X).numpy()
    assert np.abs(run(X) - expected).max() < 1e-4
    assert np.abs(run(X[:1]) - expected[:1]).max() < 1e-4
    import onnx

    said = {p.key: p.value for p in onnx.load(tmp_path / "model.onnx").metadata_props}
    facts = json.loads(said["robustdx"])
    assert (facts["classes"], facts["task"], facts["output"], facts["fixed_draws"]) == (["mel", "nev", "bcc"], "multilabel", "logits", None)
    assert [member["name"] for member in facts["purifier"]["members"]] == ["gaussian", "median"]


def test_an_exported_program_comes_back(tmp_path):
    """The same weights, mode and gradients' flags as before are left on the model."""
    defended = Defended(model(), Median())
    defended.train()
    made = export_program(defended, tmp_path / "new" / "model.pt2")
    assert defended.training
    assert defended.network.training
    assert all(p.requires_grad for p in defended.parameters())
    extra = {FACTS: ""}
    program = torch.export.load(tmp_path / "new" / "model.pt2", extra_files=extra).module()
    with torch.no_grad():
        assert torch.allclose(program(X), defended.eval()(X), atol=1e-4)
    assert json.loads(extra[FACTS]) == made.facts
    assert made.facts["purifier"] == {"name": "median", "size": 3}
    assert made.facts["input"]["shape"] == ["batch", 3, 24, 20]


def test_a_network_that_scales_takes_images_of_another_size(tmp_path):
    scaled = model(resize=True, size=(12, 12)).eval()
    export_program(scaled, tmp_path / "model.pt2", size=(24, 20))
    with torch.no_grad():
        assert torch.allclose(torch.export.load(tmp_path / "model.pt2").module()(X), scaled(X), atol=1e-4)


def test_draws_are_refused_or_held_fast(tmp_path):
    """With fixed draws every image gets what the one image draws, wherever it stands."""
    defended = Defended(model(), TotalVariation(steps=2)).eval()
    with pytest.raises(PlanError, match="draws at random"):
        export_program(defended, tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())
    made = export_program(defended, tmp_path / "model.pt2", fixed_draws=True, seed=4)
    assert (made.facts["fixed_draws"], made.batch) == (4, None)
    program = torch.export.load(tmp_path / "model.pt2").module()
    with torch.no_grad():
        assert torch.allclose(program(X), defended(X, Draws(4, (IMAGE,) * len(X))), atol=1e-4)
        assert not torch.allclose(program(X), defended(X, Draws(5, (IMAGE,) * len(X))), atol=1e-4)


def test_constants_are_the_draws_of_one_image():
    """Whatever kind is drawn, in whatever fork, for however many images."""
    held, one = Constants(3, (IMAGE,)), Draws(3, (IMAGE,))
    x = torch.zeros(4, 2, 3, 3)
    for fixed, drawn in ((held, one), (held.fork("block", 1).take([0, 2]), one.fork("block", 1))):
        assert torch.equal(fixed.normal(x), drawn.normal(x[:1]).expand_as(x))
        assert torch.equal(fixed.uniform(-1, 2, like=x), drawn.uniform(-1, 2, like=x[:1]).expand_as(x))
        assert torch.equal(fixed.integers(0, 100), drawn.integers(0, 100))
    assert len(held.held) == 6


def test_what_counts_images_takes_one_at_a_time(tmp_path):
    """It is said in the answer, and `--model` reads such a file."""
    counts = WithoutDraws(lambda x: torch.cat([x[i : i + 1].flip(3) for i in range(len(x))]))
    defended = Defended(model(), counts).eval()
    made = export_program(defended, tmp_path / "model.pt2")
    assert (made.batch, made.facts["input"]["shape"]) == (1, [1, 3, 24, 20])
    program = torch.export.load(tmp_path / "model.pt2").module()
    with torch.no_grad():
        assert torch.allclose(torch.cat([program(x) for x in X[:3].split(1)]), defended(X[:3]), atol=1e-4)


@pytest.mark.parametrize(
    ("made", "error", "words"),
    [
        (lambda: Defended(model(), JPEG()), ModelError, "jpeg-differentiable for jpeg"),
        (lambda: model(outputs="probabilities"), PlanError, "ends in logits"),
        (lambda: model(size=None), PlanError, "size of the images is not known"),
    ],
    ids=["jpeg", "probabilities", "no-size"],
)
def test_what_cannot_be_written_is_refused_in_words(made, error, words, tmp_path):
    with pytest.raises(error, match=words):
        export_program(made().eval(), tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_is_not_kept(tmp_path):
    """A mean over the batch that was shown, taken for a constant: only looking at answers tells."""
    seen = []

    def stale(x):
        if not torch.compiler.is_compiling():
            seen.append(x.detach().mean())
        return (x - seen[0] + seen[-1]).clamp(0, 1)

    with pytest.raises(ModelError, match="answers otherwise than the model"):
        export_program(Defended(model(), WithoutDraws(stale)).eval(), tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(programs.MissingExtra, match=r"onnxscript: pip install 'robustdx\[export\]'"):
        export_onnx(model().eval(), tmp_path / "model.onnx")
