"""At the same budget our PGD leaves no more images standing than the PGD of torchattacks, foolbox and ART."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor
from victims import Victim

from peers.pgd import PEERS
from robustdx.attacks import PGD
from robustdx.auditing.cell import Batch, attacked_rows, clean_rows, is_right
from robustdx.draws import Draws
from robustdx.models.crafting import searching
from robustdx.threats import L2, Linf, Threat

STEPS, STEP_SIZE = 10, 0.25
POINT = 0.01
THREATS = [Linf(1 / 255), Linf(2 / 255), Linf(4 / 255), Linf(8 / 255), L2(0.5)]
FROM_THE_IMAGE = pytest.mark.parametrize("threat", THREATS, ids=str)
"""Without a random start both sides walk the same way: each budget is compared for itself. With one, luck is averaged over all."""


def right(victim: Victim, x: Tensor) -> Tensor:
    """Which images are decided right, in float32."""
    return ~victim.model.task.fooled(victim.model(x), victim.y)


@cache
def theirs(victim: Victim, peer: str, threat: Threat, random_start: bool) -> tuple[float, float]:
    """Robust accuracy of a peer's images, as found and as they could be saved."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  (ART draws from it)
    x_adv = PEERS[peer](victim.model, victim.x, victim.y, threat, STEPS, STEP_SIZE, random_start)
    return tuple(float(right(victim, x).float().mean()) for x in (x_adv, threat.snap(x_adv, victim.x)))


@cache
def attacked(victim: Victim, threat: Threat, random_start: bool, early_stop: bool) -> float:
    """Robust accuracy under the bare attack, as found, in float32."""
    attack = PGD(steps=STEPS, step_size=STEP_SIZE, random_start=random_start, early_stop=early_stop)
    return float(right(victim, attack(victim.model, victim.x, victim.y, threat, Draws(0, victim.ids))).float().mean())


@cache
def audited(victim: Victim, threat: Threat, random_start: bool, precision: str) -> tuple[float, float]:
    """The audit's own verdicts: robust accuracy as found, and as it could be saved."""
    batch = Batch(victim.x, victim.y, victim.ids, (None,) * len(victim.ids))
    clean = clean_rows(victim.model, batch, seed=0)
    attack = PGD(steps=STEPS, step_size=STEP_SIZE, random_start=random_start)
    rows, _ = attacked_rows(searching(victim.model, precision), batch, clean, attack, threat, "pgd", seed=0)
    return tuple(sum(is_right(row, form) for row in rows) / len(rows) for form in ("searched", "saved"))


@FROM_THE_IMAGE
@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("early_stop", [False, True])
def test_from_the_image_the_bare_attack_is_as_strong(victim, peer, threat, early_stop):
    assert attacked(victim, threat, False, early_stop) <= theirs(victim, peer, threat, False)[0] + POINT


@FROM_THE_IMAGE
@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_from_the_image_the_audit_finds_as_many(victim, peer, threat, precision):
    """As found against as found, and as saved against the peer's images as they could be saved."""
    for ours, peers in zip(audited(victim, threat, False, precision), theirs(victim, peer, threat, False), strict=True):
        assert ours <= peers + POINT


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("early_stop", [False, True])
def test_from_random_starts_the_bare_attack_is_as_strong(victim, peer, early_stop):
    behind = [attacked(victim, threat, True, early_stop) - theirs(victim, peer, threat, True)[0] for threat in THREATS]
    assert np.mean(behind) <= POINT, behind


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_from_random_starts_the_audit_finds_as_many(victim, peer, precision):
    for form in (0, 1):
        behind = [audited(victim, threat, True, precision)[form] - theirs(victim, peer, threat, True)[form] for threat in THREATS]
        assert np.mean(behind) <= POINT, behind


def test_the_networks_are_what_they_are_called(victim):
    """Both see; under 4/255 the undefended one falls and the robust one stands."""
    assert right(victim, victim.x).float().mean() > 0.6
    standing = attacked(victim, Linf(4 / 255), False, False)
    assert standing > 0.45 if victim.name == "robust" else standing < 0.4


@pytest.mark.parametrize("threat", [Linf(4 / 255), L2(0.5)], ids=str)
@pytest.mark.parametrize("peer", PEERS)
def test_the_budget_is_the_same(victim, peer, threat):
    """Their images lie inside our threat, at its edge, and inside [0, 1]; our distance is the one they keep to."""
    torch.manual_seed(0)
    x_adv = PEERS[peer](victim.model, victim.x[:20], victim.y[:20], threat, 5, 0.5, True)
    distance = threat.distance(x_adv, victim.x[:20])
    assert (distance <= threat.eps * (1 + 1e-5)).all()
    assert (distance >= threat.eps * 0.9).all()
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
