"""What was chosen for the user, why, and what that rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Choice:
    """One decision of a recipe, as the model card tells it."""

    what: str
    """What was decided: "objective", "resolution", ..."""
    chosen: str
    """What it was decided to be, in a few words."""
    why: str
    """The reason, as a sentence that follows "because"."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """The numbers that it rests on: measured here, or counted."""

    def __str__(self) -> str:
        return f"{self.what}: {self.chosen}, because {self.why}"
