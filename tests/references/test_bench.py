"""The benchmark counts what it says it counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.attacks import Measured, measure, ratios, shown, weaker
from benchmarks.contenders import Budget, Result, ours
from benchmarks.floor import recorded, replay
from benchmarks.victims import Plain, Victim
from peers.pgd import PEERS
from robustdx.auditing.cell import Batch
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiClass
from robustdx.threats import Linf


@pytest.fixture
def victim() -> Victim:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, 3)).eval()
    exact = DiagnosticModel(network, MultiClass(tuple("abc")), size=(12, 12)).eval().requires_grad_(False)
    fast = exact.in_precision(torch.bfloat16).eval().requires_grad_(False)
    x = torch.randint(0, 256, (6, 3, 12, 12)) / 255
    batches = [Batch(x[i : i + 3], exact(x[i : i + 3]).argmax(1), tuple(f"{i + j}" for j in range(3)), (None,) * 3) for i in (0, 3)]
    return Victim("undefended", exact, fast, Plain(network, exact, torch.float32, channels_last=False), batches)


def test_the_calls_are_all_the_calls(victim):
    """Without a success: clean, 35 steps in bfloat16, 5 in float32, the last look, and both verdicts."""
    with recorded(victim) as calls:
        ours(victim, Budget(Linf(1e-6), 40), seed=0)
    fast, exact = ([c for c in calls if c.model is m] for m in (victim.fast, victim.exact))
    assert [sum(c.images for c in kind) for kind in (fast, exact)] == [6 * 35, 6 * (1 + 5 + 1 + 2)]
    assert sum(c.images for c in calls if c.backward) == 6 * 40
    assert min(replay(victim, calls)) >= 0


def test_everyone_takes_part_and_is_told_of(victim):
    measured = measure(victim, Budget(Linf(8 / 255), 4), repeats=2, handed=True)
    assert set(measured.results) == {"robustdx", *(f"{p} {form}" for p in PEERS for form in ("float32", "bfloat16"))}
    assert all(len(found) == 2 and len(found[0].found) == 6 for found in measured.results.values())
    assert [r["target"] for r in ratios(measured)] == [0.25, 0.6, 1.10]
    assert "ours / bare calls" in shown(measured)


def test_a_peer_that_finds_more_is_told():
    stands = [torch.tensor([True] * 40 + [False] * 60), torch.tensor([True] * 20 + [False] * 80)]
    results = {who: [Result(1.0, 1.0, s, s)] for who, s in zip(("robustdx", "other float32"), stands, strict=True)}
    assert len(weaker(Measured("robust", 100, results))) == 2
    results["robustdx"], results["other float32"] = results["other float32"], results["robustdx"]
    assert not weaker(Measured("robust", 100, results))
