"""A network that passes no gradient back can still be asked: the black-box attacks run, the others are refused."""

import pytest
import torch
from torch import nn

import robustdx
from robustdx.data.in_memory import from_torch
from robustdx.errors import ModelError

SIZE = 6
SETTINGS = {"eps": ["16/255"], "bootstrap": 100, "precision": "float32", "pictures": 0}
QUERIES = [{"name": "square", "queries": 40}, {"name": "simba", "queries": 40}, {"name": "hopskipjump", "queries": 40, "samples": 6}]


class Named(nn.Module):
    """A network that gives its decision and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.rounded = Rounded()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.one_hot(self.rounded(x).argmax(1), 2).float()


class Rounded(nn.Module):
    """A linear network behind a table of rounded values."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3 * SIZE * SIZE, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear((x.flatten(1).detach() * 64).round() / 64)


def data():
    g = torch.Generator().manual_seed(0)
    images = torch.randint(60, 196, (8, 3, SIZE, SIZE), generator=g, dtype=torch.uint8)
    labels = Rounded()(images.float() / 255).argmax(1)
    return from_torch([(image, int(y)) for image, y in zip(images, labels, strict=True)], ("benign", "malignant"), "binary")


@pytest.mark.parametrize("attack", [QUERIES[0], {"name": "cascade", "members": QUERIES}], ids=["square", "cascade"])
def test_attacks_that_only_ask_break_it_without_a_backward_pass(attack, tmp_path):
    found = robustdx.audit(Rounded(), data(), out=tmp_path / "run", size=SIZE, attacks=[attack], **SETTINGS)
    clean, attacked = (next(c for c in found["cells"] if c["attack"] == name) for name in ("clean", attack["name"]))
    assert attacked["metrics"]["accuracy"]["value"] < clean["metrics"]["accuracy"]["value"]
    assert (attacked["backwards"], attacked["forwards"] > 0) == (0, True)


GRADIENTS = pytest.mark.parametrize(
    "attack", [{"name": "pgd"}, {"name": "cascade", "members": [QUERIES[0], {"name": "fgsm"}]}], ids=["pgd", "cascade"]
)


@GRADIENTS
def test_where_the_gradient_is_cut_one_is_put_in_its_place(attack, tmp_path):
    found = robustdx.audit(Rounded(), data(), out=tmp_path / "run", size=SIZE, attacks=[attack], **SETTINGS)
    attacked = next(c for c in found["cells"] if c["attack"] == attack["name"])
    assert attacked["metrics"]["accuracy"]["value"] < 0.5


@GRADIENTS
def test_where_none_can_be_attacks_that_follow_it_are_refused_and_others_named(attack, tmp_path):
    with pytest.raises(ModelError, match=r"passes none back .* take attacks that only ask"):
        robustdx.audit(Named(), data(), out=tmp_path / "run", size=SIZE, attacks=[attack], escalation=False, **SETTINGS)
    assert not (tmp_path / "run").exists()


def test_an_audit_that_doubts_itself_goes_on_without_a_gradient_and_establishes_nothing(tmp_path):
    with pytest.warns(UserWarning, match="passes none back"):
        found = robustdx.audit(Named(), data(), out=tmp_path / "run", size=SIZE, attacks=["pgd"], **SETTINGS | {"eps": ["1/255"]})
    assert found["escalation"]["verdict"] == "not established"
    assert "no sound gradient" in [flag["name"] for flag in found["escalation"]["flags"]]
