"""Who takes part: our audit, and the PGD of each peer on the same images with the same budget."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.victims import Victim
from peers.pgd import PEERS
from robustdx.attacks import PGD, Attack
from robustdx.auditing.cell import attacked_rows, clean_rows, is_right
from robustdx.models import Subject
from robustdx.threats import Linf, Threat

SLACK = 1e-4
"""An answer may be so much outside of eps: float32."""


@dataclass(frozen=True)
class Budget:
    """What every contender may spend."""

    threat: Linf
    steps: int

    @property
    def step_size(self) -> float:
        """As a fraction of eps."""
        return 2.5 / self.steps


@dataclass(frozen=True)
class Result:
    """What one run of one contender took and found."""

    cpu: float
    wall: float
    found: Tensor
    """(N,): which images still stand as the attack left them, judged in float32."""
    saved: Tensor
    """(N,): which stand once rounded to 8 bit."""


Contender = Callable[[int], Result]
"""seed -> result."""


def contenders(victim: Victim, budget: Budget, handed: bool) -> dict[str, Contender]:
    """By name: ours, each peer as its users get it, and where `handed` each peer with the network that we search with."""
    forms = {"float32": victim.shipped} | ({victim.form: victim.handed} if handed else {})
    found: dict[str, Contender] = {"robustdx": lambda seed: ours(victim, budget, seed)}
    for form, network in forms.items():
        for peer in PEERS:
            found[f"{peer} {form}"] = lambda seed, p=peer, n=network: theirs(victim, budget, p, n, seed)
    return found


def ours(victim: Victim, budget: Budget, seed: int) -> Result:
    """Our PGD."""
    return audited(victim, PGD(steps=budget.steps, step_size=budget.step_size), budget.threat, "pgd", seed)


def audited(victim: Victim, attack: Attack, threat: Threat, name: str, seed: int) -> Result:
    """The audit's whole path: clean records, the attack, both verdicts in float32."""
    cpu, wall, rows = cpu_seconds(), time.perf_counter(), []
    for batch in victim.batches:
        clean = clean_rows(victim.exact, batch, seed)
        rows += attacked_rows(Subject(victim.exact, victim.fast), batch, clean, attack, threat, name, seed)[0]
    spent = cpu_seconds() - cpu, time.perf_counter() - wall
    return Result(*spent, *(torch.tensor([is_right(row, form) for row in rows]) for form in ("searched", "saved")))


def theirs(victim: Victim, budget: Budget, peer: str, network: nn.Module, seed: int) -> Result:
    """A peer's PGD."""
    return timed(victim, lambda x, y: PEERS[peer](network, x, y, budget.threat, budget.steps, budget.step_size, True), budget.threat, seed)


def timed(victim: Victim, call: Callable[[Tensor, Tensor], Tensor], threat: Threat, seed: int) -> Result:
    """The peer's attack alone is timed; judging its images is on us."""
    torch.manual_seed(seed)
    images = [(b.x.contiguous(), b.y) for b in victim.batches]
    cpu, wall = cpu_seconds(), time.perf_counter()
    x_adv = [call(x, y) for x, y in images]
    spent = cpu_seconds() - cpu, time.perf_counter() - wall
    return Result(*spent, *judged(victim, x_adv, threat))


@torch.no_grad()
def judged(victim: Victim, x_adv: list[Tensor], threat: Threat) -> tuple[Tensor, Tensor]:
    """Which images stand, as found and as saved; one that was changed by more than the budget stands."""
    task, found, saved = victim.exact.task, [], []
    for x, b in zip(x_adv, victim.batches, strict=True):
        x = x.detach().clamp(0, 1).contiguous(memory_format=torch.channels_last)
        clean = ~task.fooled(victim.exact(b.x), b.y)
        inside = threat.distance(x, b.x) <= threat.eps * (1 + SLACK)
        found.append(torch.where(inside, ~task.fooled(victim.exact(x), b.y), clean))
        saved.append(torch.where(inside, ~task.fooled(victim.exact(threat.snap(x, b.x)), b.y), clean))
    return torch.cat(found), torch.cat(saved)


def cpu_seconds() -> float:
    """Of all threads of this process, in the program and in the kernel."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
