"""Square attack: random search with squares at the corners of the ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from robustdx.attacks.loops.asking import Answer, Asking
from robustdx.attacks.loops.climb import Front, exact_from
from robustdx.attacks.loops.squares import Squares, squares_for
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images, Labels
from robustdx.threats import Threat

HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""In ten-thousandths of the queries: when the share of the image that a square covers is halved (the paper's appendix B)."""

BLOCK = 100
"""Steps whose random numbers are drawn at once: opening a stream for each image at each step would cost more than it draws."""


@final
@dataclass(frozen=True, kw_only=True)
class Square:
    """Random search without gradients (Andriushchenko et al. 2020, algorithms 1 to 3), as AutoAttack uses it: on the margin.

    From stripes (Linf) or a chequered pattern (L2), each step tries one square at a random place of the image and keeps it
    where the margin falls. Each image has windows of its own; all windows of a step have the same size, which shrinks with
    time. Where several decisions are to be turned, more of them wrong counts first, then the loss.

    Unlike AutoAttack's code a square of the same sign as what lies there, which would ask the same image again, is turned
    over (the authors' own code draws again), squares reach the last row and column too, and a step on a plateau, as the margin
    of rounded outputs has them, is kept.

    Cost per image: one forward pass for the image itself, restarts * queries at most, and with early stop one for each
    confirmation; no backward pass. A rough search takes the last eighth in float32.
    """

    black_box: ClassVar[bool] = True

    queries: int = 5000
    """Images that are tried from each start; the size of the squares follows from it."""
    p_init: float = 0.8
    """Share of the image that the first squares cover."""
    restarts: int = 1
    """Searches from independent starts."""
    early_stop: bool = True
    """Leave an image as soon as every decision on it is wrong: right for accuracy, wrong for AUROC and other rankings."""

    def __post_init__(self) -> None:
        if self.queries < 1 or self.restarts < 1:
            raise PlanError(f"queries and restarts must be at least 1, got queries {self.queries} and restarts {self.restarts}")
        if not 0 < self.p_init <= 1:
            raise PlanError(f"p_init must lie in (0, 1], got {self.p_init:g}: it is the share of the image that a square covers")

    @torch.no_grad()
    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        if threat.eps == 0:
            return x.clone()
        make = squares_for(threat)
        asking = Asking(model, x, y, threat, draws, early_stop=self.early_stop)
        for i in range(self.restarts):
            front = asking.front(x, draws.fork("restart", i))
            if len(front):
                self._search(asking, front, make(threat.take(front.at), front.x))
        return asking.worst.x_adv

    def _search(self, asking: Asking, front: Front, squares: Squares) -> None:
        """One start, followed until every image is done or the queries are spent; what was found stays in `asking`."""
        front.x_t = squares.start(front.draws.fork("start"))
        first_exact = exact_from(asking.model, self.queries) if asking.model.rough else self.queries
        best = asking.ask(front)
        gone = asking.settle(front, best, torch.ones_like(front.at, dtype=torch.bool))
        block = front.x.new_empty(0)
        for t in range(1, self.queries):
            front, best, squares, block = _go_on(asking, front, best, squares, block, gone)
            if not len(front):
                return
            if (t - 1) % BLOCK == 0:
                block = self._block(front, squares, t)
            if t == first_exact:
                best = asking.ask(front, exact=True)
            squares.put(front.x_t, block[:, (t - 1) % BLOCK], self.share(t))
            seen = asking.ask(front, exact=t >= first_exact)
            better = seen.no_better_than(best)
            best = seen.where(better, best)
            gone = asking.settle(front, seen, better)
            squares.take_back(front.x_t, ~better)
        if asking.model.rough and self.queries == 1:
            best = asking.ask(front, exact=True)
        asking.keep(front, best)

    def share(self, t: int) -> float:
        """The share of the image that the square of step t covers."""
        return float(self.p_init / 2 ** sum(t * 10_000 // self.queries > at for at in HALVED_AT))

    def _block(self, front: Front, squares: Squares, t: int) -> torch.Tensor:
        """The random numbers of the next steps, (B, steps, numbers)."""
        steps = min(BLOCK, self.queries - t)
        like = torch.empty(len(front), steps, squares.numbers)
        return front.draws.fork("from", t).uniform(0, 1, like=like).to(front.x.device)


def _go_on(
    asking: Asking, front: Front, best: Answer, squares: Squares, block: torch.Tensor, gone: torch.Tensor
) -> tuple[Front, Answer, Squares, torch.Tensor]:
    """Those that are not done; the others leave with what they have."""
    if not bool(gone.any()):
        return front, best, squares, block
    asking.keep(front.only(gone), best.only(gone))
    stay = ~gone
    return front.only(stay), best.only(stay), squares.only(stay), block[stay] if len(block) else block
