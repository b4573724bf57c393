"""The purifier that docs/adding-a-purifier.md shows is a whole one: its code runs, and does what the page says."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from robustdx.catalogue import Catalogue, document
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import Defended, DiagnosticModel
from robustdx.purifiers import PURIFIERS, Purifier
from robustdx.tasks import MultiClass

PAGE = (Path(__file__).parents[1] / "docs" / "adding-a-purifier.md").read_text()
CODE, LINE, TEST = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
DRAWS = Draws(0, tuple("abcde"))
X = torch.randint(0, 256, (5, 3, 8, 8), generator=torch.Generator().manual_seed(0)) / 255


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page's code as a module in a file, so that its fields' documentation can be read like any other's."""
    path = tmp_path_factory.mktemp("page") / "calm.py"
    path.write_text(CODE)
    spec = importlib.util.spec_from_file_location("calm", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["calm"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def catalogue(page):
    scope = {"Catalogue": Catalogue, "Purifier": Purifier, "Calm": page.Calm}
    scope |= {cls.__name__: cls for cls in PURIFIERS.own.values()}
    exec(LINE, scope)
    return scope["PURIFIERS"]


def test_the_line_makes_it_a_method_like_any_other(page, catalogue):
    made = catalogue.parse({"name": "calm", "part": 0.3})
    assert made == page.Calm(part=0.3)
    assert catalogue.parse(catalogue.dump(made)) == made
    assert document(page.Calm)["part"].startswith("The most that a pixel is moved")
    with pytest.raises(PlanError, match="part must lie in"):
        catalogue.parse({"name": "calm", "part": 2})


def test_it_may_stand_in_a_chain(page, catalogue):
    chain = catalogue.parse({"name": "chain", "members": [{"name": "calm", "part": 0.3}, "median"]})
    assert chain.members[0] == page.Calm(part=0.3)
    assert (chain.differentiable, chain.random) == (True, True)


def test_it_keeps_the_contract(page):
    pure = page.Calm()(X, DRAWS)
    assert pure.shape == X.shape
    assert not torch.equal(pure, page.Calm()(X, DRAWS.fork("other")))
    torch.testing.assert_close(page.Calm()(X[2:3], DRAWS.take([2])), pure[2:3])
    x = X.clone().requires_grad_()
    assert torch.autograd.grad(page.Calm()(x, DRAWS).sum(), x)[0].any()


def test_a_network_stands_behind_it(page):
    torch.manual_seed(0)
    model = DiagnosticModel(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), MultiClass(tuple("abc")), size=(8, 8)).eval()
    pure = page.Calm()(X, DRAWS.fork("purify"))
    assert torch.equal(Defended(model, page.Calm())(X, DRAWS), model(pure))


def test_the_page_s_own_test_holds(page):
    scope = {"Calm": page.Calm, "torch": torch}
    exec(TEST, scope)
    scope["test_a_flat_image_is_left_as_it_is"](X, DRAWS)
