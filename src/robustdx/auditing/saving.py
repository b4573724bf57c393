"""The adversarial image as it could be saved."""

from __future__ import annotations

import torch

from robustdx.attacks.loops.climb import SLACK
from robustdx.draws import Draws
from robustdx.models.crafting import Subject
from robustdx.tensors import Images, Labels, PerImage, per_image
from robustdx.threats import Threat

REACHES = (0.25, 0.5, 1.0)
"""How far beyond the nearest image, as shares of the way to eps, one is looked for that outlives rounding."""


@torch.no_grad()
def as_saved(subject: Subject, x_adv: Images, x: Images, y: Labels, threat: Threat, draws: Draws, *, minimal: bool) -> Images:
    """The image on the grid of the data.

    A minimal-norm attack answers with the nearest image that is beaten, which lies so close to the boundary that rounding undoes it.
    Who saves it would go further in the same direction: where rounding undoes anything, the first image on the way to eps that is beaten
    as saved takes its place. Cost per image: two forward passes, and one for each reach where it is needed.
    """
    saved = threat.snap(x_adv, x)
    if not (minimal and threat.savable):
        return saved
    found = _errors(subject, x_adv, y, draws)
    lost = found > _errors(subject, saved, y, draws)
    for share in REACHES:
        if not bool(lost.any()):
            break
        at, ball, some = lost.nonzero()[:, 0], threat.take(lost), draws.take(lost)
        shown = ball.snap(_further(x_adv[at], x[at], ball, share), x[at])
        holds = (_errors(subject, shown, y[at], some) >= found[at]) & (ball.distance(shown, x[at]) <= ball.eps * (1 + SLACK))
        saved[at[holds]], lost[at[holds]] = shown[holds], False
    return saved


def _further(x_adv: Images, x: Images, threat: Threat, share: float) -> Images:
    """The image that lies a share of the way from x_adv to eps further out."""
    distance = threat.distance(x_adv, x)
    length = distance + share * (threat.eps - distance).clamp_min(0)
    return threat.project(x + (x_adv - x) * per_image(length / distance.clamp_min(1e-12), x), x)


def _errors(subject: Subject, x: Images, y: Labels, draws: Draws) -> PerImage:
    return subject.task.errors(subject.exact(x, draws), y)
