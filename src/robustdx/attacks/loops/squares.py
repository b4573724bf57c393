"""The squares of Square attack: what is put into a window of each image, and how it is taken back.

All work is done in place and inside the windows, so that a step costs next to nothing beside the query.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from robustdx.attacks.loops.asking import reachable
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Flags, Images, per_image
from robustdx.threats import L2, Linf, Threat

Index = tuple[Tensor, Tensor, Tensor]
"""Image, rows and columns of one window for each image; of a (B, H, W, C) view they take (B, side, side, C)."""

TINY = 1e-12


class Squares(Protocol):
    """Moves of one family, on the images that are still searched."""

    numbers: int
    """How many uniform numbers a step takes for each image."""

    def start(self, draws: Draws) -> Images:
        """The image from which the search begins: new memory, in which it goes on."""
        ...

    def put(self, x_t: Images, u: Tensor, share: float) -> None:
        """Put a square that covers a share of the image into each x_t, where u (B, numbers) says."""
        ...

    def take_back(self, x_t: Images, refused: Flags) -> None:
        """Restore what was there before the last put."""
        ...

    def only(self, flags: Flags) -> Squares:
        """The moves of some of the images."""
        ...


def squares_for(threat: Threat) -> Callable[[Threat, Images], Squares]:
    """The family for a threat, also inside a mask.

    Raises:
        PlanError: a threat for which Square attack has no squares.
    """
    measured = getattr(threat, "threat", threat)
    if isinstance(measured, Linf):
        return Corners
    if isinstance(measured, L2):
        return Bumps
    raise PlanError(f"square knows the threats linf and l2, got {type(threat).__name__}: take simba or nes")


class Corners:
    """Linf: each pixel lies at one of the two corners of its interval, and a square has one sign for each channel."""

    def __init__(self, threat: Threat, x: Images) -> None:
        self.low, self.high = threat.project(torch.zeros_like(x), x), threat.project(torch.ones_like(x), x)
        self.numbers = 2 + x.shape[1]

    def start(self, draws: Draws) -> Images:
        """Vertical stripes, one pixel wide."""
        return torch.where(draws.uniform(0, 1, like=self.low[:, :, :1]) < 0.5, self.low, self.high)

    def put(self, x_t: Images, u: Tensor, share: float) -> None:
        image, at = last(x_t), window(x_t, u[:, :2], side(x_t, share, 1))
        low, high, old = last(self.low)[at], last(self.high)[at], image[at]
        below = u[:, None, None, 2:] < 0.5
        new = torch.where(below, low, high)
        same = (new == old).flatten(1).all(1)
        self.at, self.old = at, old
        image[at] = torch.where(per_image(same, new), torch.where(below, high, low), new)

    def take_back(self, x_t: Images, refused: Flags) -> None:
        last(x_t)[some(self.at, refused)] = self.old[refused]

    def only(self, flags: Flags) -> Corners:
        other = object.__new__(Corners)
        other.low, other.high, other.numbers = self.low[flags], self.high[flags], self.numbers
        return other


class Bumps:
    """L2: a step takes what two windows hold and what is left of the budget, and builds one bump of it in the first.

    eta(h1, h2) are pyramids of concentric rectangles, a bump is a positive one beside a negative one, lying or standing
    (algorithm 3 and equation 2 of the paper). What is cut off at 0 and 1 goes back to the budget.
    """

    def __init__(self, threat: Threat, x: Images) -> None:
        self.eps, self.x = threat.eps, x
        self.numbers = 5 + x.shape[1]
        self.free: Tensor | None = None
        if hasattr(threat, "threat"):
            self.free = reachable(threat, x)
        self.energy = x.new_zeros(len(x))
        """The squared length of x_t - x."""

    def start(self, draws: Draws) -> Images:
        """Bumps with random signs in every channel, about five by five, together of length eps."""
        b, c, h, w = self.x.shape
        s = min(max(min(h, w) // 5, 3), h, w)
        down, across = h // s, w // s
        signs = (draws.uniform(-1, 1, like=self.x.new_empty(b, c, down, across)) < 0).to(self.x.dtype) * 2 - 1
        top, left = (h - down * s) // 2, (w - across * s) // 2
        change = torch.zeros_like(self.x)
        tiles = torch.kron(signs, bump(s).to(self.x))
        change[:, :, top : top + down * s, left : left + across * s] = tiles
        if self.free is not None:
            change *= self.free
        length = change.flatten(1).norm(dim=1).clamp_min(TINY)
        x_t = (self.x + change * per_image(self.eps / length, change)).clamp_(0, 1)
        self.energy = (x_t - self.x).flatten(1).square().sum(1)
        return x_t

    def put(self, x_t: Images, u: Tensor, share: float) -> None:
        s = side(x_t, share, 3)
        s -= 1 - s % 2
        image, home = last(x_t), last(self.x)
        first, second = window(x_t, u[:, :2], s), window(x_t, u[:, 2:4], s)
        x_first, old_first = home[first], image[first]
        image[first] = x_first  # so that what the windows share is counted once
        x_second, old_second = home[second], image[second]
        image[second] = x_second
        taken = energies(old_first - x_first) + energies(old_second - x_second)
        unused = (self.eps**2 - self.energy).clamp_min(0) / image.shape[-1]
        change = self._bumps(u, s) + unit(old_first - x_first)
        if self.free is not None:
            change *= last(self.free)[first]
        new = (x_first + unit(change) * (taken + per_image(unused, taken)).sqrt()).clamp_(0, 1)
        image[first] = new
        self.before = first, old_first, second, old_second, self.energy
        self.energy = self.energy - taken.flatten(1).sum(1) + (new - x_first).flatten(1).square().sum(1)

    def take_back(self, x_t: Images, refused: Flags) -> None:
        first, old_first, second, old_second, energy = self.before
        image = last(x_t)
        image[some(second, refused)] = old_second[refused]
        image[some(first, refused)] = old_first[refused]
        self.energy = torch.where(refused, energy, self.energy)

    def only(self, flags: Flags) -> Bumps:
        other = object.__new__(Bumps)
        other.eps, other.x, other.numbers, other.energy = self.eps, self.x[flags], self.numbers, self.energy[flags]
        other.free = None if self.free is None else self.free[flags]
        return other

    def _bumps(self, u: Tensor, s: int) -> Tensor:
        shape = bump(s).to(u)
        lying = u[:, 4, None, None] < 0.5
        signs = (u[:, None, None, 5:] < 0.5).to(u.dtype) * 2 - 1
        return torch.where(lying, shape, shape.T)[..., None] * signs


def last(x: Images) -> Tensor:
    """The (B, H, W, C) view of images, whose windows hold all channels of a pixel together."""
    return x.permute(0, 2, 3, 1)


def side(x: Images, share: float, least: int) -> int:
    """The side of a square that covers a share of the image."""
    h, w = x.shape[2:]
    return min(max(round((share * h * w) ** 0.5), least), h, w)


def window(x: Images, u: Tensor, size: int) -> Index:
    """A window of each image, anywhere inside it: u (B, 2) in [0, 1) says where."""
    room = torch.tensor([x.shape[2] - size, x.shape[3] - size], device=u.device)
    corner = (u * (room + 1)).long().minimum(room)  # in float32, u * (room + 1) may round up to room + 1
    steps = torch.arange(size, device=u.device)
    image = torch.arange(len(u), device=u.device)[:, None, None]
    return image, (corner[:, :1] + steps)[:, :, None], (corner[:, 1:] + steps)[:, None, :]


def some(at: Index, flags: Flags) -> Index:
    """The windows of some of the images."""
    return at[0][flags], at[1][flags], at[2][flags]


def energies(change: Tensor) -> Tensor:
    """The squared length in each channel, (B, 1, 1, C)."""
    return change.square().sum((1, 2), keepdim=True)


def unit(change: Tensor) -> Tensor:
    """Length 1 in each channel; 0 stays 0."""
    return change / energies(change).sqrt().clamp_min(TINY)


@cache
def bump(s: int) -> Tensor:
    """A (s, s) bump of length 1: the upper half up, the lower half down."""
    if s == 1:
        return torch.ones(1, 1)
    shape = torch.cat((pyramid(s // 2, s), -pyramid(s - s // 2, s)))
    return shape / shape.norm()


def pyramid(h: int, w: int) -> Tensor:
    """Concentric rectangles around (h // 2, w // 2): the k-th adds 1 / (k + 1)^2 to all within k steps of the centre; length 1."""
    rows, columns = (torch.arange(h) - h // 2).abs(), (torch.arange(w) - w // 2).abs()
    reach = torch.maximum(rows[:, None], columns)
    weights = 1 / torch.arange(1, max(h, w) // 2 + 2, dtype=torch.float32) ** 2
    shape = weights.flip(0).cumsum(0).flip(0)[reach]
    return shape / shape.norm()
