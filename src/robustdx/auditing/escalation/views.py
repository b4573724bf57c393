"""The ways in which an adversary may look at a model: as it is, without its defence, or with a gradient put in place of none."""

from __future__ import annotations

from dataclasses import dataclass

from robustdx.models import Averaged, Defended, DiagnosticModel
from robustdx.models.jittered import Jittered
from robustdx.models.known_draws import KnownDraws
from robustdx.models.reconnected import Reconnected
from robustdx.purifiers import StraightThrough

OWN, THROUGH, RECONNECTED, UNDEFENDED = "as it is", "straight through", "reconnected", "undefended"


@dataclass(frozen=True)
class View:
    """The model as an adversary sees it."""

    name: str
    model: DiagnosticModel
    answers: bool
    """Whether it answers as the model does, and only its gradient differs."""


def views(model: DiagnosticModel) -> list[View]:
    """What can be said of a model before it is tried: its own gradient, and those that stand in for it."""
    found = [View(OWN, model, answers=True)]
    if isinstance(model, Defended):
        found.append(View(THROUGH, Defended(model.model, StraightThrough(model.purifier)), answers=True))
    return [*found, View(RECONNECTED, Reconnected(model), answers=True)]


def undefended(model: DiagnosticModel) -> DiagnosticModel | None:
    """What stands behind all defences, where that is known."""
    behind = getattr(model, "undefended", None) or (model.model if isinstance(model, Defended) else None)
    return None if behind is None else undefended(behind) or behind


def averaged(view: View, samples: int) -> View:
    """The mean over draws."""
    other = Averaged(view.model, 1)
    other.samples = samples
    return View(f"mean over {samples} draws, {view.name}", other, answers=False)


def known(view: View, path: tuple[str, ...]) -> View:
    """With the draws of the verdict."""
    return View(f"draws known, {view.name}", KnownDraws(view.model, path), answers=True)


def around(view: View, reach: float, samples: int) -> View:
    """The mean over the neighbourhood."""
    return View(f"mean around, {view.name}", Jittered(view.model, reach, samples), answers=False)
