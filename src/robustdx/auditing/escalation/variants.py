"""What is made, without a gradient, of an image that was found: to be handed in beside it, or in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from robustdx.draws import Draws
from robustdx.models import Defended, DiagnosticModel, Purifier
from robustdx.tensors import Images
from robustdx.threats import Linf, Threat, everywhere

NUDGES = 32
"""Images a few pixels away that are handed in for each that was found."""
NUDGED = 0.1
"""Share of the pixels that such an image has one level higher or lower."""
VALUES = 17
"""Values of a pixel that are looked up at most: all of them up to 8/255."""

Variants = Callable[[Images, Images, Threat, Draws], Iterator[Images]]
"""Of images that were found and the images as they came, both (B, C, H, W) on the grid: others that an adversary would try, as saved."""


def unchanged(found: Images, x: Images, threat: Threat, draws: Draws) -> Iterator[Images]:
    """The images themselves."""
    yield found


def nudged(found: Images, x: Images, threat: Threat, draws: Draws) -> Iterator[Images]:
    """A few pixels one level up or down, again and again.

    Where a model jumps from one image to the next, as one does that draws from a hash of the image, each of these is a new throw of
    the dice, and none of them is known to a gradient.
    """
    for n in range(NUDGES):
        chance = draws.fork("nudge", n).uniform(0, 1, like=found)
        step = (chance < NUDGED / 2).to(found) - (chance > 1 - NUDGED / 2).to(found)
        yield threat.snap(threat.project(found + step / threat.levels, x), x)


def looked_up(purifier: Purifier) -> Variants:
    """Of a purifier that maps each pixel by itself: of all values that a pixel may take, the one that it carries furthest.

    Which way the image was changed says which way each pixel should go; how far each value goes is looked up in the purifier itself.
    So what rounds, codes or bends values (Buckman et al. 2018; Xu et al. 2018) is met as a table and needs no gradient. Under Linf
    alone: there each pixel has a budget of its own.
    """

    def variants(found: Images, x: Images, threat: Threat, draws: Draws) -> Iterator[Images]:
        up = (found - x).sign()
        best, furthest = x, up * purifier(x, draws.fork("purify"))
        for share in torch.linspace(-1, 1, VALUES).tolist():
            value = threat.snap(threat.project(x + share * threat.eps, x), x)
            gone = up * purifier(value, draws.fork("purify"))
            best, furthest = torch.where(gone > furthest, value, best), torch.maximum(gone, furthest)
        yield best

    return variants


@torch.no_grad()
def maps_pixels(model: DiagnosticModel, x: Images, threat: Threat, draws: Draws) -> bool:
    """Whether what stands before a network maps each pixel by itself: half of one image and half of another come out as they went in."""
    if not isinstance(model, Defended) or not isinstance(everywhere(threat), Linf):
        return False
    some, stream = draws.fork("half").uniform(0, 1, like=x) < 0.5, draws.fork("purify")
    low, high = (threat.snap(threat.project(x + share * threat.eps, x), x) for share in (-1, 1))
    mixed = model.purifier(torch.where(some, low, high), stream)
    apart = torch.where(some, model.purifier(low, stream), model.purifier(high, stream))
    return torch.allclose(mixed, apart, atol=1e-5)
