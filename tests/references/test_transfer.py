"""At equal steps our momentum attacks leave no more images standing than those of torchattacks; without judging they are the same."""

from __future__ import annotations

import pytest
import torch
from test_minimal import network, patterns
from torch import Tensor

from peers.momentum import BLUR, PEERS
from robustdx.attacks import ATTACKS
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiClass
from robustdx.threats import Linf

POINT = 0.01
IMAGES = 128
STEPS = 10
TASK = MultiClass(tuple("abcd"))
BUDGETS = {False: (0.03, 0.05), True: (0.08, 0.1)}
"""Under which a part of the images stand: undefended, robust."""
RANDOM = ("di", "vmi", "vni")
"""Attacks that draw: luck is averaged over seeds and budgets (the peer draws one size and one place for a whole batch)."""
SEEDS = 4
FIXED = [name for name in PEERS if name not in RANDOM]
by_victim = pytest.mark.parametrize(
    ("robust", "eps"),
    [(robust, eps) for robust, budgets in BUDGETS.items() for eps in budgets],
    ids=lambda v: {False: "undefended", True: "robust"}[v] if isinstance(v, bool) else f"eps {v}",
)


def both(name: str, robust: bool, eps: float, seed: int = 0, **settings: object) -> tuple[Tensor, Tensor, Tensor]:
    """The labels of the images that are right at first, and what our attack and the peer's make of these."""
    net, (x, y) = network(robust), patterns(IMAGES, 5)
    right = net(x).argmax(1) == y
    x, y = x[right], y[right]
    draws = Draws(seed, tuple(map(str, range(len(x)))))
    words = {"name": name, "steps": STEPS, **({"smooth": BLUR} if name == "ti" else {}), **settings}
    ours = ATTACKS.parse(words)(DiagnosticModel(net, TASK).eval(), x, y, Linf(eps), draws)
    torch.manual_seed(seed)
    theirs = PEERS[name](net, x, y, eps, STEPS)
    for x_adv in (ours, theirs):
        assert (Linf(eps).distance(x_adv, x) <= eps * (1 + 1e-4)).all(), "one side had a larger budget"
    return y, ours, theirs


def standing(robust: bool, x_adv: Tensor, y: Tensor) -> float:
    return float((network(robust)(x_adv).argmax(1) == y).float().mean())


@by_victim
@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("early_stop", [True, False], ids=["early stop", "to the end"])
def test_it_leaves_no_more_standing(name, robust, eps, early_stop):
    y, ours, theirs = both(name, robust, eps, early_stop=early_stop)
    assert standing(robust, ours, y) <= standing(robust, theirs, y) + POINT
    assert standing(robust, theirs, y) < 0.9, "a budget that breaks nothing compares nothing"


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("early_stop", [True, False], ids=["early stop", "to the end"])
def test_those_that_draw_leave_no_more_standing(name, early_stop):
    behind = []
    for robust, budgets in BUDGETS.items():
        for eps in budgets:
            for seed in range(SEEDS if name == "di" else 1):
                y, ours, theirs = both(name, robust, eps, seed, early_stop=early_stop)
                behind.append(standing(robust, ours, y) - standing(robust, theirs, y))
    assert sum(behind) / len(behind) <= POINT, behind


@by_victim
@pytest.mark.parametrize("name", FIXED)
def test_unjudged_they_end_at_the_same_images(name, robust, eps):
    """But for what the peer does outside [0, 1], where no image lies, and for signs of gradients near 0."""
    y, ours, theirs = both(name, robust, eps, early_stop=False, keep="last")
    assert ((ours - theirs).abs() > 1e-5).float().mean() < (0.05 if "ni" in name else 0.005)
    assert abs(standing(robust, ours, y) - standing(robust, theirs, y)) <= POINT
