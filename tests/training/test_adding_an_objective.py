"""The objective that docs/adding-an-objective.md shows is a whole one: its code runs, and does what the page says."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch
from small_networks import DRAWS, TASKS, B, gradients, images, labels, model

from robustdx.catalogue import Catalogue, document
from robustdx.errors import PlanError
from robustdx.threats import Linf
from robustdx.training import OBJECTIVES
from robustdx.training.objectives import AWP, Madry, Objective

PAGE = (Path(__file__).parents[2] / "docs" / "adding-an-objective.md").read_text()
CODE, LINE, TEST = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
THREAT = Linf(8 / 255)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page's code as a module in a file, so that its fields' documentation can be read like any other's."""
    path = tmp_path_factory.mktemp("page") / "logit_pairing.py"
    path.write_text(CODE)
    spec = importlib.util.spec_from_file_location("logit_pairing", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["logit_pairing"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def catalogue(page):
    scope = {"Catalogue": Catalogue, "Objective": Objective, "LogitPairing": page.LogitPairing}
    scope |= {cls.__name__: cls for cls in OBJECTIVES.own.values()}
    exec(LINE, scope)
    return scope["OBJECTIVES"]


def test_the_line_makes_it_a_method_like_any_other(page, catalogue):
    made = catalogue.parse({"name": "logit-pairing", "weight": 1})
    assert made == page.LogitPairing(weight=1.0)
    assert catalogue.parse(catalogue.dump(made)) == made
    assert document(page.LogitPairing)["weight"].startswith("What a squared difference")
    with pytest.raises(PlanError, match="weight must be at least 0"):
        catalogue.parse({"name": "logit-pairing", "weight": -1})


@pytest.mark.parametrize("task", TASKS)
def test_it_has_a_meaning_for_every_task(page, task):
    one = model(task)
    loss = page.LogitPairing(steps=2)(one, images(), labels(task), THREAT, DRAWS)
    assert loss.shape == (B,)
    loss.mean().backward()
    assert all(bool(g.isfinite().all()) for g in gradients(one))


def test_it_may_be_wrapped(page):
    one, x, y = model("multi-class", norm=False), images(), labels("multi-class")
    wrapped = AWP(objective=page.LogitPairing(steps=1), gamma=0.0)(one, x, y, THREAT, DRAWS)
    torch.testing.assert_close(wrapped, page.LogitPairing(steps=1)(one, x, y, THREAT, DRAWS))


def test_the_page_s_own_test_holds_and_could_fail(page):
    scope = {"LogitPairing": page.LogitPairing, "Madry": Madry, "torch": torch}
    exec(TEST, scope)
    given = model("multi-class", norm=False), images(), labels("multi-class"), THREAT, DRAWS
    scope["test_without_weight_it_is_adversarial_training"](*given)
    assert not torch.equal(page.LogitPairing(weight=5.0, steps=2)(*given), Madry(steps=2)(*given))
