"""What a minimal-norm attack found is saved further out, where rounding would undo it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import robustdx
from robustdx.attacks import FAB, FMN, DeepFool
from robustdx.auditing.saving import as_saved
from robustdx.data.in_memory import from_torch
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.models.crafting import Subject
from robustdx.tasks import Binary
from robustdx.threats import L2, Linf, Masked

SIDE, N = 8, 6
DRAWS = Draws(0, tuple(map(str, range(N))))
X = torch.full((N, 1, SIDE, SIDE), 100 / 255)
Y = torch.zeros(N, dtype=torch.long)


@pytest.fixture
def subject():
    """The sum of the pixels, less ever more: the nearest beaten image lies 0.1 to 2.1 steps of the grid away, at every pixel."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 1))
    nn.init.ones_(network[1].weight)
    nn.init.constant_(network[1].bias, -SIDE * SIDE * 100 / 255)
    return Subject(DiagnosticModel(network, Binary(), mean=(0.0,), std=(1.0,)).eval().requires_grad_(False))


def lacking(subject):
    """Images that lie 0.1, 0.5, ... steps of the grid below the boundary."""
    x = X.clone()
    for i in range(N):
        x[i, 0, 0, 0] -= SIDE * SIDE * (0.1 + 0.4 * i) / 255 / 2
    return (x * 255).round() / 255


@pytest.mark.parametrize("attack", [FAB(), FMN(), DeepFool()], ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("threat", [Linf(4 / 255), L2(0.2)], ids=str)
def test_what_was_found_is_found_in_the_file(subject, attack, threat):
    x = lacking(subject)
    x_adv = attack(subject, x, Y, threat, DRAWS)
    fooled = subject.task.fooled(subject.exact(x_adv, DRAWS), Y)
    saved = as_saved(subject, x_adv, x, Y, threat, DRAWS, minimal=True)
    assert torch.equal(saved, threat.snap(saved, x))
    assert (threat.distance(saved, x) <= threat.eps * (1 + 1e-5)).all()
    assert fooled.all()
    assert torch.equal(subject.task.fooled(subject.exact(saved, DRAWS), Y), fooled)
    if isinstance(threat, Linf):
        rounded = subject.task.fooled(subject.exact(threat.snap(x_adv, x), DRAWS), Y)
        assert (fooled & ~rounded).any(), "rounding alone undoes it"


def test_what_outlives_rounding_is_rounded_and_no_more(subject):
    x, threat = lacking(subject), Linf(4 / 255)
    x_adv = threat.project(x + 1, x)
    assert torch.equal(as_saved(subject, x_adv, x, Y, threat, DRAWS, minimal=True), threat.snap(x_adv, x))
    near = x + 0.2 / 255
    assert torch.equal(as_saved(subject, near, x, Y, threat, DRAWS, minimal=False), x)


def test_below_one_step_of_the_grid_the_clean_image_is_saved(subject):
    x, threat = lacking(subject), Linf(0.6 / 255)
    assert torch.equal(as_saved(subject, x + 0.5 / 255, x, Y, threat, DRAWS, minimal=True), x)


def test_a_region_is_kept(subject):
    region = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.bool)
    region[..., :6] = True
    x, threat = lacking(subject), Masked(Linf(4 / 255), region)
    saved = as_saved(subject, FMN()(subject, x, Y, threat, DRAWS), x, Y, threat, DRAWS, minimal=True)
    assert torch.equal(saved[..., 6:], x[..., 6:])
    assert subject.task.fooled(subject.exact(saved, DRAWS), Y).float().mean() > 0.8


def test_a_cascade_saves_what_its_minimal_member_found(tmp_path):
    """As an audit of a cascade of one does, which equals its member."""
    images = [(torch.full((1, SIDE, SIDE), 100 + i % 2, dtype=torch.uint8), 0) for i in range(4)]
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 1))
    nn.init.ones_(network[1].weight)
    nn.init.constant_(network[1].bias, -SIDE * SIDE * 101.3 / 255)
    data = from_torch(images, ("healthy", "ill"), "binary")
    attacks = [{"name": "fmn"}, {"name": "cascade", "members": [{"name": "fmn"}]}]
    plan = {"eps": ["4/255"], "attacks": attacks, "mean": (0.0,), "std": (1.0,), "bootstrap": 100, "precision": "float32"}
    results = robustdx.audit(network, data, out=tmp_path / "run", **plan)
    found = {c["attack"]: c["metrics"]["accuracy"]["value"] for c in results["cells"]}
    assert found["clean"] == 1
    assert found["fmn"] == found["cascade"] == 0
