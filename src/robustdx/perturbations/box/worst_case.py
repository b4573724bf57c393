"""The worst image within plausible parameters: a natural adversary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, Subject
from robustdx.models.oracle import Oracle
from robustdx.perturbations.box.box import Box
from robustdx.perturbations.box.search import Search
from robustdx.perturbations.box.stages import climb, look, starts, wander
from robustdx.tensors import Images, Labels, PerImage


@final
@dataclass(frozen=True)
class WorstImages:
    """What the search found, one row for each image."""

    box: Box
    x_adv: Images
    """(B, C, H, W), on the grid of 8-bit images: what was judged is what is saved."""
    parameters: Tensor
    """(B, 8), in the order of `Box.names`: `box.apply(x, parameters)`, rounded, is x_adv."""
    errors: PerImage
    """The share of an image's decisions that are wrong on x_adv."""
    forwards: tuple[int, ...]
    """Forward passes of the network that the search took for each image."""
    backwards: tuple[int, ...]

    @property
    def named(self) -> list[dict[str, float]]:
        """The parameters of each image by name: those that the box lets change."""
        return self.box.named(self.parameters)


@final
@dataclass(frozen=True, kw_only=True)
class WorstCase:
    """The worst image that plausible handling can make of each one, found by a grid, then the gradient or chance (Engstrom et al. 2019).

    A short climb from the image as it is, along the sign of the gradient in all parameters, which is all that most images need; for the
    others a coarse grid over rotation, shift and scale, where a climb alone gets stuck (Engstrom et al.), and climbs from its
    worst points; where the model passes no gradient back, random points in place of the climbs. Every image is asked of as it would be
    saved, in float32 (only a climb may run in bfloat16, and what it claims is asked again), so the answer is at least as bad as every
    point of the grid, the image as it is among them.

    Cost per image, with early stop only as far as it stands: a forward pass for each point of the grid, and for each of `starts` + 1
    climbs `steps` passes forth and back and one more; or `samples` forward passes. By default 198.
    """

    box: Box = field(default_factory=Box)
    """How far each parameter may go."""
    rotations: int = 5
    """Points of the grid from the left to the right, an odd number: the middle one is the image as it is."""
    shifts: int = 3
    """Points of the grid for each of the two ways, an odd number."""
    scales: int = 3
    """Points of the grid from small to large, an odd number."""
    starts: int = 2
    """From how many of the worst points of the grid a climb begins, after the one from the image as it is; 0 for the grid alone."""
    steps: int = 10
    """Steps of a climb."""
    samples: int = 100
    """Random points, for an image where the model passes no gradient back or a gradient of 0."""
    early_stop: bool = True
    """Leave an image as soon as every decision on it is wrong: right for accuracy, wrong for the largest loss."""

    def __post_init__(self) -> None:
        for name in ("rotations", "shifts", "scales"):
            if (count := getattr(self, name)) < 1 or count % 2 == 0:
                raise PlanError(f"{name} must be an odd number of points, got {count}: the one in the middle is the image as it is")
        for name in ("starts", "steps", "samples"):
            if getattr(self, name) < 0:
                raise PlanError(f"{name} must be at least 0, got {getattr(self, name)}")

    @property
    def grid(self) -> Tensor:
        """The coarse grid (N, 8), as shares of the half-widths."""
        return self.box.grid(self.rotations, self.shifts, self.scales)

    def __call__(self, model: DiagnosticModel | Subject | Oracle, x: Images, y: Labels, draws: Draws) -> WorstImages:
        """The worst images found for x (B, C, H, W) in [0, 1]; the model is `still`, as for an attack. A box without width gives x back."""
        if self.box.empty:
            zeros = x.new_zeros(len(x), len(self.box.names))
            return WorstImages(self.box, x.clone(), zeros, x.new_zeros(len(x)), (0,) * len(x), (0,) * len(x))
        subject = Subject(model) if isinstance(model, DiagnosticModel) else model
        before, search = _passes(subject), Search(subject, self.box, x, y, draws, early_stop=self.early_stop)
        self._run(search, draws)
        spent = ((after - was) for after, was in zip(_passes(subject), before, strict=True))
        forwards, backwards = (tuple(passes[i] for i in draws.ids) for passes in spent)
        return WorstImages(self.box, search.x_adv, self.box.scaled(search.shares), search.errors, forwards, backwards)

    def _run(self, search: Search, draws: Draws) -> None:
        """The stages one after the other, each for the images that the one before left standing."""
        grid, climbs = self.grid.to(search.x), bool(self.starts and self.steps)
        first = look(search, grid[:1], draws.fork("as it is"))
        flat = torch.full_like(search.errors, not climbs, dtype=torch.bool)
        if climbs:
            flat = climb(search, torch.zeros_like(search.shares)[:, None], self.steps, draws.fork("climb"))
        seen = look(search, grid[1:], draws.fork("grid")).after(first)
        if climbs:
            begin = starts(search, grid, seen, self.starts, draws.fork("starts"))
            flat &= climb(search, begin, self.steps, draws.fork("climb", "grid"))
        wander(search, flat, self.samples, draws.fork("wander"))


def _passes(model: Subject | Oracle) -> tuple[Counter[str], Counter[str]]:
    """Passes so far for each image, forth and back."""
    if isinstance(model, Oracle):
        return Counter(model.queries), Counter()
    return Counter(model.forwards), Counter(model.backwards)
