"""A model with everything that it draws held fast, so that it can be written into a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, Outputs

IMAGE = "export"
"""The one name under which every image draws in an exported file."""


@dataclass(frozen=True)
class Constants(Draws):
    """The draws of one image for all images, each made once and held: what is held already is not drawn again."""

    held: dict[str, Tensor] = field(default_factory=dict, compare=False)

    def fork(self, *names: object) -> Constants:
        """Other draws, held in the same place."""
        return replace(self, path=self.path + tuple(str(name) for name in names))

    def take(self, index: Tensor | Sequence[int]) -> Constants:
        """The same draws: they are those of every image."""
        return self

    def integers(self, low: int, high: int) -> Tensor:
        """A whole number in [low, high), (1,): it stands for all images."""
        return self._once(f"integers {low} {high}", (), lambda: super(Constants, self).integers(low, high))

    def made(self, kind: str, like: Tensor, make: Callable[[], Tensor]) -> Tensor:
        return self._once(kind, like.shape[1:], make).to(like).expand_as(like)

    def _fill(self, kind: str, like: Tensor, draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]) -> Tensor:
        return self.made(kind, like, lambda: super(Constants, self)._fill(kind, like[:1], draw))

    def _once(self, kind: str, shape: Sequence[int], make: Callable[[], Tensor]) -> Tensor:
        name = " ".join((*self.path, kind, *map(str, shape)))
        if name not in self.held:
            self.held[name] = make()
        return self.held[name]


class Constant(nn.Module):
    """A model without a second argument: pixels in, logits out. What one image drew is part of its state."""

    def __init__(self, model: DiagnosticModel, x: Images, seed: int) -> None:
        """`x` is an image to draw for."""
        super().__init__()
        self.model, self.seed = model, seed
        drawn = Constants(seed, (IMAGE,))
        with torch.no_grad():
            model(x[:1], drawn)
        self.names = tuple(drawn.held)
        for n, name in enumerate(self.names):
            self.register_buffer(f"draw_{n}", drawn.held[name].clone())

    def forward(self, pixels: Images) -> Outputs:
        held = {name: getattr(self, f"draw_{n}") for n, name in enumerate(self.names)}
        return self.model(pixels, Constants(self.seed, (IMAGE,), (), held))

    def expected(self, x: Images) -> Outputs:
        """What the model itself answers when every image draws as the one did."""
        with torch.no_grad():
            return self.model(x, Draws(self.seed, (IMAGE,) * len(x)))
