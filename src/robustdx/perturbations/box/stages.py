"""The three stages of the search through a box: a coarse grid, a climb along the gradient, and random points."""

from __future__ import annotations

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.models.oracle import Oracle
from robustdx.perturbations.box.search import TOGETHER, Answers, Search, usable
from robustdx.tensors import Flags

FIRST, LAST = 0.4, 0.05
"""Length of the first and of the last step of a climb, as shares of the half-widths."""
WIDE, NARROW = 0.5, 0.05
"""How far around the worst point random search looks at first and at last, as shares of the half-widths."""


def look(search: Search, grid: Tensor, draws: Draws) -> Answers:
    """Ask of every point (N, 8) of a grid; answers (B, N), below all others where none was asked for.

    Cost per image: at most N forward passes.
    """
    seen = Answers(*(search.errors.new_full((len(search.x), len(grid)), low) for low in (-1.0, -torch.inf)))
    for n, columns in enumerate(torch.arange(len(grid), device=grid.device).split(TOGETHER)):
        at = search.standing()
        if not (len(at) and len(columns)):
            break
        now = search.judge(at, grid[columns].expand(len(at), -1, -1), draws.fork(n))
        seen.errors[at[:, None], columns], seen.score[at[:, None], columns] = now.errors, now.score
    return seen


def starts(search: Search, grid: Tensor, seen: Answers, count: int, draws: Draws) -> Tensor:
    """Where climbs begin (B, count, 8): the worst points of the grid; all but the first of them with colour and blur drawn at random.

    At the image as it is, the blur has no slope; and where the grid has fewer points, the others are drawn from the whole box.
    """
    drawn = search.box.random(draws, search.x.new_empty(len(search.x), count, grid.shape[1]))
    by_score = seen.score.argsort(dim=1, descending=True, stable=True)
    by_errors = seen.errors.gather(1, by_score).argsort(dim=1, descending=True, stable=True)
    known = grid[by_score.gather(1, by_errors)[:, :count]]
    drawn[:, : known.shape[1], :4] = known[..., :4]
    drawn[:, 0, 4:] = 0
    return drawn


def climb(search: Search, begin: Tensor, steps: int, draws: Draws) -> Flags:
    """Follow the sign of the gradient in the parameters from each start (B, K, 8), in steps that grow shorter; (B,) where it says nothing.

    A rough model (bfloat16) searches; what it claims, and where it ends, is asked of in float32. Cost per image and start: `steps`
    forward and backward passes and one forward pass; of a rough model, one more for an image where it claims a success.
    """
    flat = torch.ones(len(search.x), dtype=torch.bool, device=search.x.device)
    if isinstance(search.model, Oracle):
        return flat
    places = begin.clone()
    for t in range(steps):
        at = search.standing()
        at = at[~flat[at]] if t else at
        if not len(at):
            return flat
        grad = search.slopes(at, places[at], draws.fork("step", t))
        told = usable(grad)
        flat[at] &= ~told.any(1)
        size = FIRST * (LAST / FIRST) ** (t / max(1, steps - 1))
        places[at] = search.box.inside(places[at] + size * torch.where(told[..., None], grad.sign(), 0.0))
    at = search.standing()
    at = at[~flat[at]]
    if len(at):
        search.judge(at, places[at], draws.fork("last"))
    return flat


def wander(search: Search, those: Flags, samples: int, draws: Draws) -> None:
    """Ask of random points for some of the images: half of them anywhere in the box, half ever nearer around the worst point so far.

    Cost per image: at most `samples` forward passes, rounded up to whole groups.
    """
    rounds = -(-samples // TOGETHER)
    for n in range(rounds):
        at = search.standing()
        at = at[those[at]]
        if not len(at):
            return
        some = draws.take(at).fork(n)
        points = search.box.random(some, search.x.new_empty(len(at), TOGETHER, len(search.box.names)))
        near = points[:, TOGETHER // 2 :]
        width = WIDE * (NARROW / WIDE) ** (n / max(1, rounds - 1))
        points[:, TOGETHER // 2 :] = search.box.inside(search.shares[at][:, None] + width * some.normal(like=near))
        search.judge(at, points, draws.fork(n, "ask"))
