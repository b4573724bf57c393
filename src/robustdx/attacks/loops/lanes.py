"""Several searches for one image side by side, towards each rival or from each start, in the same passes through the network.

The searches of an image have an order, and one that comes after a successful one is broken off: the answer is that of searching one
after the other, however many go together. The first is done alone, as most images that fall at all fall to it; then as many
go together as fit into the largest batch that the model has been shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from robustdx.attacks.loops.climb import Front, Worst
from robustdx.attacks.loops.nearest import Nearest
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.tensors import Flags, Images, Labels
from robustdx.threats import Threat

Lane = tuple[Tensor, Tensor]
"""(image, turn), (L,) each: which image of the batch a lane is for, and where it stands in that image's order."""


def together(model: Model, x: Images, has: Flags, standing: Callable[[], Flags]) -> Iterator[Lane]:
    """The lanes of each round. has: (B, T) which turns an image has; standing: (B,) which images are still searched."""
    turn, turns = 0, has.shape[1]
    room = max(len(x), getattr(model, "room", 0))
    while turn < turns and bool((left := standing()).any()):
        wide = min(turns - turn, max(1, room // int(left.sum()))) if turn else 1
        which, image = (has[:, turn : turn + wide] & left[:, None]).T.nonzero(as_tuple=True)
        if len(image):
            yield image, which + turn
        turn += wide


class Lanes(Worst):
    """The worst image found in each lane."""

    def __init__(self, x: Images, lane: Lane) -> None:
        self.image, self.turn = lane
        super().__init__(x[self.image])

    def beat(self, at: Tensor, x_adv: Images) -> None:
        super().beat(at, x_adv)
        self.beaten |= _later(self.image, self.turn, at)

    def into(self, worst: Worst) -> None:
        """What one search after the other would have kept of each image."""
        for turn in self.turn.unique():
            own = self.turn == turn
            worst.keep(self.image[own], self.x_adv[own], self.errors[own], self.loss[own])
        worst.beaten |= worst.loss == torch.inf


def climb_in_lanes(
    climb: Callable[[Model, Front, Threat, Worst, Lane], None],
    start: Callable[[int], Images],
    has: Flags,
    model: Model,
    x: Images,
    y: Labels,
    threat: Threat,
    draws: Draws,
    worst: Worst,
) -> None:
    """Climb each turn of each image from `start(turn)`, (B, C, H, W), and leave what was found in `worst`."""
    for image, turn in together(model, x, has, lambda: ~worst.beaten):
        lanes = Lanes(x, (image, turn))
        begin = torch.cat([start(int(t))[image[turn == t]] for t in turn.unique()])
        front = Front(torch.arange(len(image), device=x.device), x[image], y[image], begin, draws.take(image))
        climb(model, front, threat.take(image), lanes, (image, turn))
        lanes.into(worst)


class Walks(Nearest):
    """The nearest beaten image of each lane; begins with what was known of the image before this round of walks."""

    def __init__(self, whole: Nearest, known: tuple[Images, Tensor, Tensor], lane: Lane) -> None:
        self.image, self.turn = image, _ = lane
        threat, draws = whole.threat.take(image), whole.draws.take(image)
        super().__init__(
            whole.model, whole.x[image], whole.y[image], threat, draws, early_stop=whole.early_stop, confidence=whole.confidence
        )
        self.x_adv, self.distance, self.gap = (value[image] for value in known)
        self.share(whole, image)
        self.found = torch.zeros_like(self.settled)

    def into(self, whole: Nearest) -> None:
        """Take over what is nearer, turn by turn; with early stop, the first turn that settled an image."""
        for turn in self.turn.unique():
            own = (self.turn == turn) & ~whole.settled[self.image]
            at = self.image[own]
            distance, gap = self.distance[own], self.gap[own]
            take = (distance < whole.distance[at]) | (distance.isinf() & whole.distance[at].isinf() & (gap < whole.gap[at]))
            take |= self.found[own]
            whole.x_adv[at[take]], whole.distance[at[take]], whole.gap[at[take]] = self.x_adv[own][take], distance[take], gap[take]
            whole.settled[at] |= self.found[own]

    def _stop(self, front: Front, inside: Flags) -> None:
        before = self.settled.clone()
        super()._stop(front, inside)
        won = (self.settled & ~before).nonzero()[:, 0]
        self.found[won] = True
        self.settled |= _later(self.image, self.turn, won)


def _later(image: Tensor, turn: Tensor, at: Tensor) -> Flags:
    """(L,): the lanes that come after one of those at `at` in the order of their image."""
    return ((image == image[at][:, None]) & (turn > turn[at][:, None])).any(0)
