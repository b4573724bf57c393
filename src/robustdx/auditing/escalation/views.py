"""The ways in which an adversary may look at a model: as it is, without its defence, or with a gradient put in place of none."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robustdx.draws import Draws
from robustdx.models import Averaged, Defended, DiagnosticModel
from robustdx.models.jittered import Jittered
from robustdx.models.known_draws import KnownDraws
from robustdx.models.reconnected import Reconnected
from robustdx.purifiers import Gaussian, JPEGDifferentiable, Median, Purifier, StraightThrough, is_differentiable
from robustdx.tensors import Images

OWN, THROUGH, STAND_IN = "as it is", "straight through", "by a stand-in"
RECONNECTED, UNDEFENDED = "reconnected", "undefended"

STAND_INS: tuple[Purifier, ...] = (
    *(JPEGDifferentiable(quality=quality) for quality in range(10, 100, 5)),
    Gaussian(sigma=0.7),
    Gaussian(sigma=1.5),
    Median(),
)
"""What is known and has a gradient: the one that does nearly what an unknown purifier does stands in for it on the way back."""


@dataclass(frozen=True)
class View:
    """The model as an adversary sees it."""

    name: str
    model: DiagnosticModel
    answers: bool
    """Whether it answers as the model does, and only its gradient differs."""


def views(model: DiagnosticModel, stand_in: Purifier | None = None) -> list[View]:
    """The model's own gradient, and those that stand in for it."""
    found = [View(OWN, model, answers=True)]
    if isinstance(model, Defended):
        found.append(View(THROUGH, Defended(model.model, StraightThrough(model.purifier)), answers=True))
        if stand_in is not None:
            found.append(View(STAND_IN, Defended(model.model, StraightThrough(model.purifier, stand_in)), answers=True))
    return [*found, View(RECONNECTED, Reconnected(model), answers=True)]


@torch.no_grad()
def nearest_stand_in(model: DiagnosticModel, x: Images, draws: Draws) -> Purifier | None:
    """What does most nearly what the model's purifier does to these images; None where nothing does so better than to leave them."""
    if not isinstance(model, Defended) or is_differentiable(model.purifier):
        return None
    pure = model.purifier(x, draws)
    far = [(float((pure - known(x, draws)).abs().mean()), known) for known in STAND_INS]
    least, nearest = min(far, key=lambda pair: pair[0])
    return nearest if least < float((pure - x).abs().mean()) else None


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
