"""At equal steps our APGD, APGD-T and AutoAttack leave no more images standing than those of torchattacks, and the same ones."""

from __future__ import annotations

import pytest
import torch
from test_minimal import network, patterns
from torch import Tensor

from peers.auto import PEERS
from robustdx.attacks import APGD, ATTACKS, APGDTargeted, Attack
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiClass
from robustdx.threats import L2, Linf, Threat

POINT = 0.01
IMAGES = 512
TASK = MultiClass(tuple("abcd"))
OURS: dict[str, Attack] = {"apgd-ce": APGD(), "apgd-dlr": APGD(loss="dlr"), "apgd-t": APGDTargeted(targets=3)}
BUDGETS: dict[bool, list[Threat]] = {False: [Linf(0.05), L2(0.8)], True: [Linf(0.1), L2(1.4)]}
"""Under which about a half to a tenth of the images stand: undefended, robust."""
VICTIMS = pytest.mark.parametrize(
    ("robust", "threat"),
    [(robust, threat) for robust, threats in BUDGETS.items() for threat in threats],
    ids=lambda v: {False: "undefended", True: "robust"}[v] if isinstance(v, bool) else str(v),
)


def standing(ours: Attack, peer: str, robust: bool, threat: Threat) -> tuple[Tensor, Tensor]:
    """Which images that are right at first stand under our attack, as found, and which under the peer's."""
    net, (x, y) = network(robust), patterns(IMAGES, 5)
    right = net(x).argmax(1) == y
    x, y = x[right], y[right]
    draws = Draws(0, tuple(map(str, range(len(x)))))
    found = ours(DiagnosticModel(net, TASK).eval(), x, y, threat, draws), PEERS[peer](net, x, y, threat, len(TASK.classes))
    for x_adv in found:
        assert (threat.distance(x_adv, x) <= threat.eps * (1 + 1e-4)).all(), "one side had a larger budget"
    ours_stand, theirs_stand = (net(x_adv).argmax(1) == y for x_adv in found)
    return ours_stand, theirs_stand


@VICTIMS
@pytest.mark.parametrize("name", list(OURS))
def test_it_leaves_no_more_standing(name, robust, threat):
    ours, theirs = standing(OURS[name], name, robust, threat)
    assert ours.float().mean() <= theirs.float().mean() + POINT
    assert theirs.float().mean() < 0.9, "a budget that breaks nothing compares nothing"


@pytest.mark.parametrize(("robust", "threat"), [(False, Linf(0.05)), (True, Linf(0.1))], ids=["undefended", "robust"])
def test_autoattack_gives_the_same_verdicts(robust, threat):
    """On at least 99 % of the images, and never a higher robust accuracy."""
    torch.manual_seed(0)
    ours, theirs = standing(ATTACKS.parse("autoattack"), "autoattack", robust, threat)
    assert ours.float().mean() <= theirs.float().mean()
    assert (ours == theirs).float().mean() >= 0.99
