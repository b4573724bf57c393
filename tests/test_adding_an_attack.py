"""The attack that docs/adding-an-attack.md shows is a whole one: its code runs, and does what the page says."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from robustdx.attacks import ATTACKS, Attack
from robustdx.catalogue import Catalogue, document
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, Subject
from robustdx.tasks import MultiClass
from robustdx.threats import L2, Linf

PAGE = (Path(__file__).parents[1] / "docs" / "adding-an-attack.md").read_text()
CODE, LINE, TEST = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
DRAWS = Draws(0, tuple("abcde"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page's code as a module in a file, so that its fields' documentation can be read like any other's."""
    path = tmp_path_factory.mktemp("page") / "corners.py"
    path.write_text(CODE)
    spec = importlib.util.spec_from_file_location("corners", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["corners"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    return DiagnosticModel(network, MultiClass(tuple("abc")), size=(8, 8)).eval().requires_grad_(False)


@pytest.fixture
def x():
    return torch.randint(0, 256, (5, 3, 8, 8), generator=torch.Generator().manual_seed(0)) / 255


def test_the_line_makes_it_a_method_like_any_other(page):
    scope = {"Catalogue": Catalogue, "Attack": Attack, "Corners": page.Corners}
    scope |= {cls.__name__: cls for cls in ATTACKS.own.values()}
    exec(LINE, scope)
    made = scope["ATTACKS"].parse({"name": "corners", "tries": 3})
    assert made == page.Corners(tries=3)
    assert scope["ATTACKS"].parse(scope["ATTACKS"].dump(made)) == made
    assert document(page.Corners)["tries"] == "Corners looked at."


@pytest.mark.parametrize("threat", [Linf(8 / 255), L2(0.7)], ids=str)
def test_it_keeps_the_contract(page, model, x, threat):
    y, subject = model(x).argmax(1), Subject(model)
    x_adv = page.Corners(early_stop=False)(subject, x, y, threat, DRAWS)
    assert (threat.distance(x_adv, x) <= threat.eps * (1 + 1e-5)).all()
    assert (model.task.loss(model(x_adv), y) > model.task.loss(model(x), y)).float().mean() > 0.5
    assert subject.forwards == dict.fromkeys("abcde", 10), "the cost that its docstring names"
    alone = page.Corners(early_stop=False)(model, x[2:3], y[2:3], threat, DRAWS.take([2]))
    torch.testing.assert_close(alone, x_adv[2:3])


def test_the_page_s_own_test_holds(page, model, x):
    scope = {"Corners": page.Corners}
    exec(TEST, scope)
    scope["test_more_corners_are_never_weaker"](model, x, model(x).argmax(1), Linf(8 / 255), DRAWS)
