"""What an attack is, and what it is handed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from robustdx.draws import Draws
from robustdx.tasks import Task
from robustdx.tensors import Images, Labels, Outputs
from robustdx.threats import Threat


class Model(Protocol):
    """What an attack may know of a model: its task and its outputs.

    A call gives logits in the precision of the search; `exact` gives them in float32, and `rough` says whether the two
    differ. Hand over the draws of just the
    images in the call: stochastic models draw from them, and the passes are counted by them.
    """

    @property
    def task(self) -> Task: ...
    @property
    def rough(self) -> bool: ...
    def __call__(self, x: Images, draws: Draws) -> Outputs: ...
    def exact(self, x: Images, draws: Draws) -> Outputs: ...


class Attack(Protocol):
    """Settings only; the situation is an argument. The answer lies inside the threat and inside [0, 1]."""

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images: ...


@runtime_checkable
class Iterative(Attack, Protocol):
    """An attack that goes step by step, and can show its steps: what a trajectory is read from."""

    def path(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Iterator[Images]:
        """The images step by step, with the start: steps + 1 times (B, C, H, W), none of them leaving early."""
        ...


def is_minimal(attack: Attack) -> bool:
    """Whether an attack looks for the smallest change, not just for one inside eps: it says `minimal`, and was not told to stop early."""
    return bool(getattr(attack, "minimal", False)) and not getattr(attack, "early_stop", False)


def follows_gradient(attack: Attack) -> bool:
    """Whether an attack needs the gradient of the model. One that only asks says `black_box`; a cascade needs what its members need."""
    members = getattr(attack, "members", (attack,))
    return not all(getattr(member, "black_box", False) for member in members)
