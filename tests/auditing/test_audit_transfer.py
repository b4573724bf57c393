"""Transfer: images are crafted on a surrogate, or an ensemble of them, and judged on the model."""

import json

import pytest
import torch
from torch import nn

import robustdx
from robustdx.data.in_memory import from_torch
from robustdx.errors import PlanError, RunError
from robustdx.models import DiagnosticModel
from robustdx.records import read_table
from robustdx.tasks import MultiClass

SIZE = 6
SETTINGS = {
    "eps": ["12/255"],
    "attacks": [{"name": "mi", "early_stop": False, "keep": "last"}],
    "bootstrap": 100,
    "precision": "float32",
    "escalation": False,
}
CLASSES = tuple("abc")


def network(seed: int = 0, noise: float = 0.0) -> nn.Module:
    """The model, or one that differs from it by noise in its weights."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 3)).eval()
    with torch.no_grad():
        made[1].bias -= made(pixels().float() / 255).mean(0)
        torch.manual_seed(seed)
        for p in made.parameters():
            p += noise * p.std() * torch.randn_like(p)
    return made


def pixels(n: int = 30) -> torch.Tensor:
    return torch.randint(60, 196, (n, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def data():
    labels = network()(pixels().float() / 255).argmax(1)
    return from_torch([(image, int(y)) for image, y in zip(pixels(), labels, strict=True)], CLASSES, "multiclass")


def attacked(out, surrogates=(), **plan):
    found = robustdx.audit(network(), data(), out=out, size=SIZE, surrogates=surrogates, **{**SETTINGS, **plan})
    cell = next(c for c in found["cells"] if c["attack"] == "mi")
    return cell["metrics"]["accuracy"]["value"], read_table(out / "cells" / cell["key"] / "records.parquet").to_pylist()


def test_a_surrogate_that_is_the_model_finds_what_the_model_finds(tmp_path):
    own, theirs = attacked(tmp_path / "own"), attacked(tmp_path / "theirs", [network()])
    assert own[0] == theirs[0] < 0.5
    assert [row["saved_decision"] for row in own[1]] == [row["saved_decision"] for row in theirs[1]]


def test_the_less_a_surrogate_is_like_the_model_the_less_transfers(tmp_path):
    near, far = (attacked(tmp_path / str(noise), [network(1, noise)])[0] for noise in (0.3, 30.0))
    assert attacked(tmp_path / "own")[0] <= near < far


def test_an_ensemble_transfers_better_than_its_members_do_on_average(tmp_path):
    members = [network(seed, 1.5) for seed in range(1, 5)]
    alone = [attacked(tmp_path / str(i), [m])[0] for i, m in enumerate(members)]
    assert attacked(tmp_path / "ensemble", members)[0] < sum(alone) / len(alone)


def test_passes_are_those_of_the_surrogate_and_the_run_says_what_it_was(tmp_path):
    _, rows = attacked(tmp_path / "run", [network(1, 0.3), network(2, 0.3)])
    assert {row["backwards"] for row in rows} == {20}, "ten steps of two networks"
    assert json.loads((tmp_path / "run" / "run.json").read_text())["surrogates"] == ["Sequential", "Sequential"]
    assert "then shown to Sequential (transfer)" in (tmp_path / "run" / "report.html").read_text()


def test_a_surrogate_for_other_images_is_refused(tmp_path):
    wider = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * (SIZE + 1), 3))
    other = DiagnosticModel(wider, MultiClass(CLASSES), size=(SIZE, SIZE + 1))
    with pytest.raises(PlanError, match="6x6 with 3 channels, got one for 6x7"):
        attacked(tmp_path / "run", [other])
    assert not (tmp_path / "run").exists()


def test_another_surrogate_is_another_run(tmp_path):
    attacked(tmp_path / "run", [network(1, 0.3)])
    darker = DiagnosticModel(network(1, 0.3), MultiClass(CLASSES), size=(SIZE, SIZE), mean=(0.1,) * 3)
    with pytest.raises(RunError, match="another plan"):
        attacked(tmp_path / "run", [darker])
