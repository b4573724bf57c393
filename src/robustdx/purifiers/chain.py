"""One purifier after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import Purifier
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Chain:
    """One purifier after another, each with draws of its own.

    Cost: the sum of theirs.
    """

    members: tuple[Purifier, ...]
    """The purifiers in the order in which an image goes through them, each a name or a table with name and settings."""

    def __post_init__(self) -> None:
        if not self.members:
            raise PlanError("expected at least one member, got none: name the purifiers of the chain")

    @property
    def differentiable(self) -> bool:
        """Whether every member is; one that does not say is taken not to be."""
        return all(is_differentiable(member) for member in self.members)

    @property
    def random(self) -> bool:
        """Whether any member is; one that does not say is taken to be."""
        return any(is_random(member) for member in self.members)

    def __call__(self, x: Images, draws: Draws) -> Images:
        for n, member in enumerate(self.members):
            x = member(x, draws.fork("member", n))
        return x


def is_differentiable(purifier: Purifier) -> bool:
    """Whether autograd's gradient through it is the true one and not 0; no, where the purifier does not say."""
    return bool(getattr(purifier, "differentiable", False))


def is_random(purifier: Purifier) -> bool:
    """Whether other draws give another answer; yes, where the purifier does not say."""
    return bool(getattr(purifier, "random", True))
