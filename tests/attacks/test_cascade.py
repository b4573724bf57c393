"""A cascade shows each attack only what still stands, and knows which of them broke an image."""

from dataclasses import dataclass
from typing import final

import pytest
import torch
from torch import nn

from robustdx.attacks import ATTACKS, FGSM, PGD, Cascade
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, Subject
from robustdx.tasks import MultiClass, MultiLabel
from robustdx.threats import Linf

N = 30
X = (torch.rand(N, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 200 + 20).round() / 255
DRAWS = Draws(0, tuple(f"i{n}" for n in range(N)))
THREAT = Linf(2 / 255)
WEAK = PGD(steps=1, step_size=0.5, random_start=False)


@final
@dataclass(frozen=True)
class Idle:
    """Gives the images back."""

    def __call__(self, model, x, y, threat, draws):
        return x.clone()


@pytest.fixture
def model():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))
    network[-1].weight.data *= 4
    return DiagnosticModel(network, MultiClass(tuple("abcd")), size=(8, 8)).eval().requires_grad_(False)


@pytest.fixture
def y(model):
    return model(X).argmax(1)


def test_a_cascade_of_one_is_its_member(model, y):
    member = PGD(steps=5)
    assert torch.equal(Cascade(members=(member,))(model, X, y, THREAT, DRAWS), member(model, X, y, THREAT, DRAWS))


def test_it_knows_which_member_broke_an_image(model, y):
    x_adv, by = Cascade(members=(Idle(), WEAK, PGD(steps=20))).told(model, X, y, THREAT, DRAWS)
    fooled = model.task.fooled(model(x_adv), y)
    assert torch.equal(fooled, by >= 0)
    assert not (by == 0).any()
    first = model.task.fooled(model(THREAT.snap(WEAK(model, X, y, THREAT, DRAWS.fork("member", 1)), X)), y)
    assert torch.equal(by == 1, first)
    assert (by == 2).any()
    assert (by == -1).any()


def test_with_several_findings_it_is_the_first_that_turned_as_many():
    """Nobody turns them all, so that the images go on to the end; the last member finds nothing that the one before did not."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2, bias=False))
    network[-1].weight.data = torch.stack([torch.ones(3 * 64), torch.zeros(3 * 64)])
    model = DiagnosticModel(network, MultiLabel(("a", "b")), size=(8, 8), mean=[0.5] * 3, std=[1] * 3).eval().requires_grad_(False)
    x = 0.5 + torch.tensor([0.5, -0.5, 40]).view(3, 1, 1, 1).expand(3, 3, 8, 8) / 255
    y = torch.cat([(x.mean((1, 2, 3)) > 0.5).float()[:, None], torch.zeros(3, 1)], 1)
    _, by = Cascade(members=(Idle(), PGD(steps=5), FGSM())).told(model, x, y, THREAT, DRAWS.take([0, 1, 2]))
    assert by.tolist() == [1, 1, -1]


def test_only_survivors_are_computed_on(model, y):
    subject = Subject(model)
    _, by = Cascade(members=(FGSM(), PGD(steps=20))).told(subject, X, y, THREAT, DRAWS)
    for image, member in zip(DRAWS.ids, by.tolist(), strict=True):
        assert (subject.backwards[image] == 1) == (member == 0)


def test_it_is_at_least_as_strong_as_each_member(model, y):
    members = (FGSM(), PGD(steps=5), PGD(steps=20))
    alone = [model.task.fooled(model(THREAT.snap(m(model, X, y, THREAT, DRAWS), X)), y).float().mean() for m in members[:1]]
    together = model.task.fooled(model(Cascade(members=members)(model, X, y, THREAT, DRAWS)), y).float().mean()
    assert together >= max(alone)


def test_a_plan_says_it_in_words():
    words = {"name": "cascade", "members": ["fgsm", {"name": "pgd", "steps": 3}]}
    made = ATTACKS.parse(words)
    assert made == Cascade(members=(FGSM(), PGD(steps=3)))
    assert ATTACKS.parse(ATTACKS.dump(made)) == made
    with pytest.raises(PlanError, match="at least one member"):
        ATTACKS.parse({"name": "cascade", "members": []})


def test_autoattack_is_the_reference_s_four():
    made = ATTACKS.parse("autoattack")
    assert [ATTACKS.name(m) for m in made.members] == ["apgd", "apgd-targeted", "fab", "square"]
    assert [getattr(m, "steps", None) or m.queries for m in made.members] == [100, 100, 100, 5000]
    assert [getattr(m, "targets", None) for m in made.members] == [None, 9, 9, None]
    assert all(m.early_stop for m in made.members)
