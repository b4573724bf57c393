"""One run of a minimal-norm attack gives the whole curve of robust accuracy."""

import pytest
import torch
from torch import nn

import robustdx
from robustdx.data.in_memory import from_torch

SIZE, EPS = 6, 16 / 255
SETTINGS = {"bootstrap": 100, "precision": "float32", "escalation": False, "pictures": 0}


def pixels(n: int = 40) -> torch.Tensor:
    return torch.randint(60, 196, (n, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def network() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 2)).eval()
    with torch.no_grad():
        made[1].bias -= made(pixels().float() / 255).mean(0)
    return made


def data():
    y = network()(pixels().float() / 255).argmax(1)
    y[::9] = 1 - y[::9]
    return from_torch([(image, int(label)) for image, label in zip(pixels(), y, strict=True)], ("no", "yes"), "binary")


def cells(out, **plan):
    found = robustdx.audit(network(), data(), out=out, size=SIZE, **{**SETTINGS, **plan})
    return [c for c in found["cells"] if c["attack"] not in ("clean", "worst")]


@pytest.mark.parametrize("attack", ["fab", "fmn", "deepfool"])
def test_its_curve_is_that_of_runs_at_each_eps(attack, tmp_path):
    """Within 2 points, as found, on a linear model and against an attack that is exact there."""
    (cell,) = cells(tmp_path / "one", attacks=[{"name": attack}], eps=[EPS])
    curve = dict(zip(cell["nearest"]["eps"], cell["nearest"]["accuracy"], strict=True))
    at = cell["nearest"]["eps"][4::4]
    each = cells(tmp_path / "each", attacks=[{"name": "pgd", "steps": 20}], eps=at)
    fixed = {c["eps"]: c["metrics"] if c["verdict"] == "searched" else c["searched"] for c in each}
    assert curve[0] == pytest.approx(1 - 5 / 40)
    assert len(set(curve.values())) > 10
    for eps, metrics in fixed.items():
        assert curve[min(curve, key=lambda e: abs(e - eps))] == pytest.approx(metrics["accuracy"]["value"], abs=0.02)


def test_the_median_is_that_of_the_images_that_were_right(tmp_path):
    (cell,) = cells(tmp_path / "run", attacks=[{"name": "deepfool"}], eps=["64/255"])
    x = pixels().float() / 255
    w, z = network()[1].weight.detach(), network()(x).detach()
    margins = (z[:, 1] - z[:, 0]).abs() / (w[1] - w[0]).abs().sum()
    right = torch.ones(40, dtype=torch.bool)
    right[::9] = False
    assert cell["nearest"]["median"] == pytest.approx(float(margins[right].median()), rel=0.05)


@pytest.mark.parametrize("attack", [{"name": "pgd"}, {"name": "fab", "early_stop": True}], ids=["pgd", "fab"])
def test_attacks_that_stop_inside_eps_say_no_distance(attack, tmp_path):
    (cell,) = cells(tmp_path / "run", attacks=[attack], eps=[EPS])
    assert "nearest" not in cell
