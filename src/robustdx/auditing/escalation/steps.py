"""Which attacks on which views of the model the findings call for, the cheap ones first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from robustdx.attacks import APGD, APGDTargeted, Attack, Cascade, RandomSearch, Square
from robustdx.auditing.escalation import views
from robustdx.auditing.escalation.probes import Probes
from robustdx.auditing.escalation.variants import NUDGES, Variants, looked_up, nudged, unchanged
from robustdx.auditing.escalation.views import View
from robustdx.models import Defended, DiagnosticModel

ALIKE = 0.9
"""Mean cosine between the gradients of two draws above which a single draw says enough."""
MOST_DRAWS = 24
TOGETHER = 16
"""Points of a neighbourhood whose answers are averaged."""
REACH = 0.5
"""How far that neighbourhood goes, as a share of eps."""
SUBMISSIONS = 10
"""How often an image is handed in to a model that draws anew each time."""

STRONG = Cascade(members=(APGD(loss="dlr-or-margin", steps=60), APGD(loss="ce", steps=40), APGDTargeted(targets=3, steps=40)))
"""On a view that answers as the model does: an image leaves as soon as it is beaten."""
PUT_BACK = Cascade(
    members=(APGD(loss="dlr-or-margin", steps=60), APGD(loss="ce", steps=100, restarts=4), APGDTargeted(targets=3, steps=60, restarts=2))
)
"""On a gradient that was put in place of none, and that is rough: from several starts."""
DRIVEN = APGD(loss="ce", steps=60, early_stop=False)
"""On a view that answers otherwise: driven to the end, so that the image is wrong by as much as can be had."""


@dataclass(frozen=True)
class Step:
    """One rung of the escalation."""

    name: str
    view: View | None
    """What images are crafted on; None: nothing is crafted, what was found is handed in again."""
    attack: Attack | None
    why: str
    submissions: int = 1
    variants: Variants = unchanged
    """What is made of each image before it is handed in again."""


def steps(model: DiagnosticModel, found: list[View], probes: Probes, eps: float, path: tuple[str, ...], *, trusted: bool) -> list[Step]:
    """The steps, in order. `path` names the draws of the verdict; `trusted` says that a search without gradients found no more."""
    own = probes.slopes[views.OWN]
    made = [*_from_outside(model), *_own(found, probes), *_put_back(found, probes)]
    best = best_view(found, probes)
    if best is not None and probes.stochastic:
        made += _over_draws(best, probes, path)
    if best is not None and not own.smooth:
        around = views.around(best, REACH * eps, TOGETHER)
        made.append(Step("mean around", around, DRIVEN, "the gradient at the image itself says little of what lies further on"))
    if not own.smooth:
        made += _varied(model, probes)
    if not (own.smooth and trusted):
        made += _without_gradient(found[0])
    if probes.stochastic:
        made.append(Step("handed in again", None, None, f"answers are drawn: each image is handed in {SUBMISSIONS} times", SUBMISSIONS))
    return made


def best_view(found: list[View], probes: Probes) -> View | None:
    """The view whose gradient serves best: the model's own where it is sound, else the one that delivers on most images."""
    usable = [view for view in found if probes.slopes[view.name].passes]
    if not usable:
        return None
    if probes.slopes[usable[0].name].sound:
        return usable[0]
    return max(usable, key=lambda view: (probes.slopes[view.name].sound, probes.slopes[view.name].useful, -found.index(view)))


def without_gradient(view: View, samples: int = 64, queries: int = 300) -> list[Attack]:
    """What asks and does not follow: random images, then Square."""
    return [RandomSearch(samples=samples), Square(queries=queries)]


def draws_for(agree: float) -> int:
    """How many draws a mean needs to point where the mean of all does, from the mean cosine between two single draws.

    A mean of k draws with pairwise cosine c makes the cosine sqrt(k c / (1 + (k - 1) c)) with its limit; this asks for `ALIKE`.
    """
    if agree >= ALIKE:
        return 1
    c = max(agree, 1e-3)
    wanted = ALIKE**2
    return max(2, min(MOST_DRAWS, math.ceil(wanted * (1 - c) / (c * (1 - wanted)))))


def _from_outside(model: DiagnosticModel) -> Iterator[Step]:
    bare = views.undefended(model)
    if bare is not None:
        view = View(views.UNDEFENDED, bare.with_task(model.task), answers=False)
        yield Step("grey box", view, DRIVEN, "the adversary knows the network and nothing of its defence")


def _own(found: list[View], probes: Probes) -> Iterator[Step]:
    if probes.slopes[views.OWN].passes:
        yield Step("gradient", found[0], STRONG, "the gradient of the model as it is, three losses")


def _put_back(found: list[View], probes: Probes) -> Iterator[Step]:
    if probes.slopes[views.OWN].smooth:
        return
    reasons = {
        views.THROUGH: "the purifier on the way forward, the identity on the way back (BPDA)",
        views.STAND_IN: "the purifier on the way forward, a known one that does nearly the same on the way back (BPDA)",
        views.RECONNECTED: "a gradient for every operation that has none, or a false one (BPDA inside the model)",
    }
    for view in found[1:]:
        if probes.slopes[view.name].passes:
            yield Step(view.name, view, PUT_BACK, reasons[view.name])


def _over_draws(best: View, probes: Probes, path: tuple[str, ...]) -> Iterator[Step]:
    k = max(2, draws_for(probes.slopes[best.name].agree))
    yield Step("mean over draws", views.averaged(best, k), DRIVEN, f"answers are drawn: the gradient of their mean, {k} draws (EOT)")
    if probes.drawn:
        yield Step("draws known", views.known(best, path), STRONG, "the adversary knows what will be drawn for the image")


def _varied(model: DiagnosticModel, probes: Probes) -> Iterator[Step]:
    if probes.pixelwise and isinstance(model, Defended):
        why = "the purifier maps each pixel by itself: of all values of a pixel the one that it carries furthest"
        yield Step("each pixel looked up", None, None, why, variants=looked_up(model.purifier))
    why = f"the model jumps from one image to the next: {NUDGES} images a few pixels beside each that was found"
    yield Step("a few pixels beside", None, None, why, variants=nudged)


def _without_gradient(own: View) -> Iterator[Step]:
    for attack in without_gradient(own, samples=100, queries=500):
        name = "random images" if isinstance(attack, RandomSearch) else "queries"
        yield Step(name, own, attack, "an adversary who only asks: what it finds, a sound gradient would have found")
